"""Garbage collection: what provably belongs to nobody is removed, and nothing that a live run may still list."""
