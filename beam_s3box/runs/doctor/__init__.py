"""Finds out what a store really guarantees, by trying it."""
