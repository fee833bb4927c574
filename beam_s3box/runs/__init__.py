"""What is done with runs after they have written: seen, proven, mended and cleaned up. Nothing here prints."""
