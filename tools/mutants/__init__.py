"""Seeded faults: small changes that break a promise, each with the tests that must notice it."""
