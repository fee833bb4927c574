"""Windows as a command line names them: `fixed:60`, `sliding:60:10`."""

from __future__ import annotations

import re
from typing import NamedTuple

from apache_beam.transforms.window import FixedWindows, NonMergingWindowFn, SlidingWindows

from beam_s3box.errors import ConfigurationError

MICROS = 1_000_000
"""In a second; event times are counted in them, as Beam counts."""

_SPEC = re.compile(r"(?:fixed:([1-9]\d{0,8})|sliding:([1-9]\d{0,8}):([1-9]\d{0,8}))")


class WindowSpec(NamedTuple):
    """Windows that begin every `period` seconds and are `size` seconds long; all times of a period share theirs."""

    size: int
    period: int

    def windowfn(self) -> NonMergingWindowFn:
        """Return Beam's function for these windows."""
        return FixedWindows(self.size) if self.size == self.period else SlidingWindows(self.size, self.period)

    @property
    def each_in(self) -> int:
        """In how many windows each record is."""
        return self.size // self.period

    def period_of(self, micros: int) -> int:
        """Return the number of the period that a time is in."""
        return micros // (self.period * MICROS)

    def start_of(self, period: int) -> int:
        """Return when a period begins. The first of its windows that ends, ends where the next period begins."""
        return period * self.period * MICROS


def parse_windows(text: str) -> WindowSpec:
    """Return the windows that a text names.

    Raises:
      ConfigurationError: it names none, or sliding ones whose periods don't share their windows.
    """
    match = _SPEC.fullmatch(text)
    if match is None:
        raise ConfigurationError(
            f"--window={text!r} must be fixed:SECONDS or sliding:SECONDS:PERIOD in whole seconds, as fixed:60 or "
            "sliding:60:10"
        )
    size, period = (int(match[1]), int(match[1])) if match[1] else (int(match[2]), int(match[3]))
    if size % period:
        raise ConfigurationError(
            f"--window={text!r} slides by {period} s, which must divide its {size} s, so that every record is in as "
            "many windows"
        )
    return WindowSpec(size, period)
