"""Shorter schedules that fail alike: choices are left out or made harmless as long as it still fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

_SECONDS: Final = 20.0


def shortest(made: Sequence[int], fails: Callable[[Sequence[int]], bool]) -> list[int]:
    """Return a short list of choices that still fails; 0 is harmless, and all that follow the list are 0."""
    best, end = _without_tail(made), time.monotonic() + _SECONDS
    size = max(1, len(best) // 2)
    while size and time.monotonic() < end:
        start = 0
        while start < len(best) and time.monotonic() < end:
            for tried in (best[:start] + best[start + size :], best[:start] + [0] * size + best[start + size :]):
                tried = _without_tail(tried[: len(best)])
                if tried != best and fails(tried):
                    best = tried
                    break
            else:
                start += size
        size //= 2
    return best


def _without_tail(choices: Sequence[int]) -> list[int]:
    found = list(choices)
    while found and not found[-1]:
        found.pop()
    return found
