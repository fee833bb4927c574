"""Time and chance: the engine, the stores and the steps of a pipeline ask for them here and nowhere else.

A simulation that replaces them decides what happens when, and does the same again with the same seed.
"""

from __future__ import annotations

import contextlib
import random
import time
import uuid
from collections.abc import Iterator


class Outside:
    """The world outside of the process: clocks, waits and random numbers."""

    def wall_seconds(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def steady_seconds(self) -> float:
        """Return seconds that never go back, since some moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def fraction(self) -> float:
        """Return a random number from 0 to 1."""
        return random.random()  # noqa: S311 - it spreads load, and is not for security

    def token(self) -> str:
        """Return 32 random hexadecimal characters, which nobody else has."""
        return uuid.uuid4().hex


_outside = Outside()


@contextlib.contextmanager
def replaced(outside: Outside) -> Iterator[None]:
    """Let another world take the place of this one; for tests of one thread."""
    global _outside
    before, _outside = _outside, outside
    try:
        yield
    finally:
        _outside = before


def wall_seconds() -> float:
    """Return seconds since the epoch."""
    return _outside.wall_seconds()


def steady_seconds() -> float:
    """Return seconds that never go back, since some moment."""
    return _outside.steady_seconds()


def sleep(seconds: float) -> None:
    """Wait."""
    _outside.sleep(seconds)


def fraction() -> float:
    """Return a random number from 0 to 1."""
    return _outside.fraction()


def token() -> str:
    """Return 32 random hexadecimal characters, which nobody else has."""
    return _outside.token()
