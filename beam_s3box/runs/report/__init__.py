"""What a run did, in figures and as a page."""
