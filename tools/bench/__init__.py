"""Measures the backfill against a bare loop and against Beam's own sink; `python -m tools.bench` prints the table."""
