"""Check what one run left at its destination, without any code of beam_s3box."""
