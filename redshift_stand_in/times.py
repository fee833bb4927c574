"""Dates and timestamps as COPY reads them; dg:r_DATEFORMAT_and_TIMEFORMAT_strings, dg:automatic-recognition."""

from __future__ import annotations

import datetime
import re

_DATE = r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"
_CLOCK = r"(?P<hour>\d{2}):(?P<minute>\d{2}):(?P<second>\d{2})(?:\.(?P<fraction>\d{1,6}))?"
_ZONE = r"(?P<zone>[+-]\d{1,2}(?::?\d{2})?)"

_DEFAULT_DATE = re.compile(rf"{_DATE}(?: {_CLOCK})?", re.ASCII)
_DEFAULT_STAMP = re.compile(f"{_DATE} {_CLOCK}", re.ASCII)
_DEFAULT_ZONED = re.compile(f"{_DATE} {_CLOCK}{_ZONE}?", re.ASCII)
_AUTO = re.compile(
    rf"(?:{_DATE}|(?P<year2>\d{{4}})/(?P<month2>\d{{2}})/(?P<day2>\d{{2}})|(?P<year3>\d{{4}})(?P<month3>\d{{2}})(?P<day3>\d{{2}}))"
    rf"(?:[T ]{_CLOCK}(?: ?(?:(?P<utc>Z|UTC|GMT)|{_ZONE}))?)?",
    re.ASCII,
)
_EPOCH = re.compile(r"-?\d+", re.ASCII)
_EPOCHS = {"epochsecs": 1_000_000, "epochmillisecs": 1_000}
_START = datetime.datetime(1970, 1, 1)
_PARTS = {
    "YYYY": r"(?P<year>\d{4})", "MM": r"(?P<month>\d{2})", "DD": r"(?P<day>\d{2})", "HH24": r"(?P<hour>\d{2})",
    "HH12": r"(?P<hour>\d{2})", "HH": r"(?P<hour>\d{2})", "MI": r"(?P<minute>\d{2})",
    "SS": r"(?P<second>\d{2})(?:\.(?P<fraction>\d{1,6}))?",
    "MON": r"(?P<name>[A-Za-z]{3})", "AM": r"(?P<half>[AaPp][Mm])", "PM": r"(?P<half>[AaPp][Mm])",
}  # fmt: skip
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def read_date(text: str, form: str | None) -> str | None:
    """Return a date for the server, or None if the text has another format; a time of day is dropped."""
    stamp = _read(text, _pattern(form, _DEFAULT_DATE))
    return None if stamp is None else stamp[0].date().isoformat()


def read_timestamp(text: str, form: str | None, zoned: bool) -> str | None:
    """Return a timestamp for the server, or None if the text has another format.

    A zone in the text counts for TIMESTAMPTZ, and is dropped for TIMESTAMP.
    """
    if form in _EPOCHS:
        if _EPOCH.fullmatch(text) is None:
            return None
        try:
            stamp = _START + datetime.timedelta(microseconds=int(text) * _EPOCHS[form])
        except OverflowError:
            return None
        return stamp.isoformat(" ") + ("+00:00" if zoned else "")
    found = _read(text, _pattern(form, _DEFAULT_ZONED if zoned else _DEFAULT_STAMP))
    if found is None:
        return None
    return found[0].isoformat(" ") + ((found[1] or "+00:00") if zoned else "")


def _pattern(form: str | None, default: re.Pattern[str]) -> re.Pattern[str]:
    if form is None:
        return default
    if form == "auto":
        return _AUTO
    parts = re.split("(" + "|".join(sorted(_PARTS, key=len, reverse=True)) + ")", form, flags=re.IGNORECASE)
    return re.compile("".join(_PARTS.get(part.upper(), re.escape(part)) for part in parts), re.ASCII)


def _read(text: str, pattern: re.Pattern[str]) -> tuple[datetime.datetime, str] | None:
    match = pattern.fullmatch(text.strip(" "))
    if match is None:
        return None
    parts = {name.rstrip("23"): value for name, value in match.groupdict().items() if value is not None}
    if "name" in parts:
        month = parts["name"].lower()
        if month not in _MONTHS:
            return None
        parts["month"] = str(_MONTHS.index(month) + 1)
    try:
        stamp = datetime.datetime(
            int(parts["year"]),
            int(parts.get("month", "1")),
            int(parts.get("day", "1")),
            _hour(parts),
            int(parts.get("minute", "0")),
            int(parts.get("second", "0")),
            int(parts.get("fraction", "").ljust(6, "0")),
        )
    except (KeyError, ValueError):
        return None
    return stamp, parts.get("zone", "")


def _hour(parts: dict[str, str]) -> int:
    hour = int(parts.get("hour", "0"))
    half = parts.get("half", "").lower()
    if not half:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError("an hour with AM or PM is between 1 and 12")
    return hour % 12 + (12 if half == "pm" else 0)
