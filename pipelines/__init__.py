"""Command-line jobs built on beam_s3box; each is run as `python -m pipelines.<name>`."""
