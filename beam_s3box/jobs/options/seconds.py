"""Checks options that are numbers of seconds."""

from __future__ import annotations

import math

from beam_s3box.errors import ConfigurationError


def check_seconds(name: str, value: float, *, above: float | None = None) -> None:
    """Raise ConfigurationError for what is no number of seconds in range."""
    is_in_range = value > above if above is not None else value >= 0
    if not (is_in_range and value < math.inf):
        bound = f"above {above:g}" if above is not None else "of at least 0"
        raise ConfigurationError(f"--{name}={value!r} must be a number of seconds {bound}")
