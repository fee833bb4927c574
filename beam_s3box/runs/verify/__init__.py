"""Proves that everything that a run lists is there and whole, and nothing twice."""
