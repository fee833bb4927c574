"""Days, times and durations that come as counts of units, as text; and values that have no text.

Python's own types end at the years 1 and 9999, and Redshift's formats know no others: what lies beyond is an `Unfit`.
"""

from __future__ import annotations

import datetime
from typing import Final

import msgspec

from beam_s3box.records.unfit import Unfit

PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""Units of a second, by their names in numpy and Arrow."""

_MICROS: Final = 1_000_000
_DAY_MICROS: Final = 86_400 * _MICROS
_EPOCH: Final = datetime.datetime(1970, 1, 1)
_EPOCH_DAY: Final = datetime.date(1970, 1, 1).toordinal()


def date_text(days: int, name: str) -> str | Unfit:
    """Return the day that is so many days after 1970-01-01, as ISO 8601.

    Args:
      days: may be negative.
      name: of the field, for what is said of a day that has no text.
    """
    try:
        return datetime.date.fromordinal(days + _EPOCH_DAY).isoformat()
    except (ValueError, OverflowError):
        return _beyond(days, "D", name)


def timestamp_text(count: int, unit: str, name: str) -> str | Unfit:
    """Return the moment that is so many units after 1970-01-01 in UTC, as ISO 8601; digits after the sixth are cut."""
    try:
        return (_EPOCH + datetime.timedelta(microseconds=_micros(count, unit))).isoformat() + "Z"
    except OverflowError:
        return _beyond(count, unit, name)


def time_text(count: int, unit: str, name: str) -> str | Unfit:
    """Return the time of day that is so many units after midnight, as ISO 8601; digits after the sixth are cut."""
    micros = _micros(count, unit)
    if not 0 <= micros < _DAY_MICROS:
        return Unfit(f"the time in {name!r} is {count} {unit} after midnight, which no day has", count)
    return (_EPOCH + datetime.timedelta(microseconds=micros)).time().isoformat()


def duration_text(count: int, unit: str, name: str) -> str | Unfit:
    """Return a duration of so many units as ISO 8601, such as `P1DT2.5S`; digits after the sixth are cut."""
    try:
        return timedelta_text(datetime.timedelta(microseconds=_micros(count, unit)))
    except OverflowError:
        return Unfit(f"the duration in {name!r} is {count} {unit}, more than 999,999,999 days", count)


def timedelta_text(value: datetime.timedelta) -> str:
    """Return a duration as ISO 8601, as pydantic and msgspec write it."""
    return str(msgspec.to_builtins(value))


def _micros(count: int, unit: str) -> int:
    return count * _MICROS // PER_SECOND[unit]


def _beyond(count: int, unit: str, name: str) -> Unfit:
    import numpy as np

    # -2**63 is numpy's NaT
    shown = str(np.int64(count).astype(f"M8[{unit}]")) if abs(count) < 2**63 else str(count)
    return Unfit(f"the date in {name!r} is {shown}, and only those of the years 1 to 9999 can be written", shown)
