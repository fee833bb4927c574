"""Byte sizes as people write them, `64MiB`, `10MB`, `100000`, and times and numbers of things for people."""

from __future__ import annotations

import decimal
import re

from beam_s3box.errors import ConfigurationError

KiB = 1024
"""Bytes in a kibibyte."""

MiB = 1024 * KiB
"""Bytes in a mebibyte."""

GiB = 1024 * MiB
"""Bytes in a gibibyte."""

LINE_COST = 64
"""Bytes that a line takes in memory besides its text."""

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": KiB, "MIB": MiB, "GIB": GiB}
_SIZE = re.compile(r"\s*(\d{1,18}(?:\.\d{1,9})?)\s*([A-Za-z]*)\s*", re.ASCII)


def parse_size(text: str, parameter: str = "size") -> int:
    """Return the number of bytes in a size such as `10MB` (10,000,000), `64MiB` (67,108,864) or `100000`.

    Args:
      text: a number with an optional unit, one of B, KB, MB, GB (powers of 1000), KiB, MiB, GiB (of 1024).
      parameter: the name of the parameter in the error.

    Raises:
      ConfigurationError: not a size, or less than one byte.
    """
    match = _SIZE.fullmatch(text)
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None:
        raise ConfigurationError(
            f"{parameter}={text!r} is not a size: write bytes, with or without a unit: 100000, 10MB, 64MiB"
        )
    size = int(decimal.Decimal(match[1]) * unit)
    if size < 1:
        raise ConfigurationError(f"{parameter}={text!r} must be at least 1 byte")
    return size


def format_size(size: int) -> str:
    """Return a size for people: `512 B`, `1.5 MB` (powers of 1000)."""
    number = float(size)
    for unit in ("B", "KB", "MB", "GB"):
        if number < 999.95 or unit == "GB":
            break
        number /= 1000
    return f"{size} B" if unit == "B" else f"{number:.1f} {unit}"


def counted_text(count: int, noun: str) -> str:
    """Return a number of things: `1 file`, `2,000 files`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def format_seconds(seconds: float) -> str:
    """Return a time for people: `12.3 s`, `12 s` of a whole number, `2 min 5 s`, `3 h 20 min`."""
    if seconds < 60:
        return f"{seconds} s" if isinstance(seconds, int) else f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
