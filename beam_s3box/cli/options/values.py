"""Values as people write them on a command line, each a `type` of argparse: `5m`, `true`."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from typing import Final

_UNITS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SECONDS: Final = re.compile(r"\s*(-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([a-z]*)\s*", re.ASCII)
_HOW: Final = "as 30, 30s, 5m or 1h"
TRUTHS: Final = {"true": True, "1": True, "false": False, "0": False}
"""What true and false are written as, in any case."""


def parse_seconds(text: str) -> float:
    """Return a time in seconds: a number, or one with a unit (ms, s, m, h, d).

    Raises:
      argparse.ArgumentTypeError: anything else.
    """
    match = _SECONDS.fullmatch(text)
    if match is None or match[2] not in _UNITS or not math.isfinite(value := float(match[1]) * _UNITS[match[2]]):
        raise argparse.ArgumentTypeError(f"{text!r} must be a number of seconds, or have a unit, {_HOW}")
    return value


def seconds(*, positive: bool = False) -> Callable[[str], float]:
    """Return what reads an option in seconds, of at least 0 or above 0."""

    def parse(text: str) -> float:
        value = parse_seconds(text)
        if value < 0 or (positive and not value):
            bound = "above 0" if positive else "of at least 0"
            raise argparse.ArgumentTypeError(f"{text!r} must be a number of seconds {bound}, {_HOW}")
        return value

    return parse


def whole_seconds(text: str) -> int:
    """Read an option in whole seconds above 0."""
    value = seconds(positive=True)(text)
    if value != int(value):
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number of seconds, {_HOW}")
    return int(value)


def whole_number(text: str) -> int:
    """Read an option that is a whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, as 1000") from None


def truth(text: str) -> bool:
    """Read an option that is true or false."""
    try:
        return TRUTHS[text.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{text!r} must be true or false") from None
