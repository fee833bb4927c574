"""The names of windows in keys, which hold their bounds in UTC; and moments as text, by the directives of strftime."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Final, NamedTuple

MICROS: Final = 1_000_000
"""In a second."""

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_CALENDAR_YEARS: Final = 400
_CALENDAR_SECONDS: Final = 146_097 * 86_400
"""After this many years, which are this many seconds, the Gregorian calendar repeats, weekdays included."""

_MOMENT: Final = r"(?:-\d{6}|Y\d{6}|\d{4})\d{4}T\d{6}(?:\.\d{6})?Z"
_PARTS: Final = re.compile(r"(.+)(\d{4}T\d{6})(?:\.(\d{6}))?Z", re.ASCII)
_IS_WINDOW: Final = re.compile(rf"(?:({_MOMENT})-|until-)({_MOMENT})(?:-[0-9a-f]+)?", re.ASCII)
_DIRECTIVE: Final = re.compile("%(.)", re.DOTALL)
_PLAIN: Final = frozenset("mdjHMSVu")


class Bounds(NamedTuple):
    """When a window begins and ends, in microseconds since 1970; a window of the user's own class only ends."""

    start: int | None
    end: int


def window_name(start: int, end: int) -> str:
    """Return the name of a window with these bounds, in microseconds since 1970; names sort by time."""
    return f"{moment_name(start)}-{moment_name(end)}"


def moment_name(micros: int) -> str:
    """Return a time in ISO 8601 without separators; years beyond four digits are marked, and still sort."""
    fraction = micros % MICROS
    year, moment = _calendar(micros)
    return f"{_year_name(year)}{moment:%m%dT%H%M%S}{f'.{fraction:06d}' if fraction else ''}Z"


def bounds_of(name: str) -> Bounds:
    """Return the bounds in a window's name.

    Raises:
      ValueError: it is not the name of a window, or that of the global one.
    """
    match = _IS_WINDOW.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is not the name of a window")
    start, end = match.groups()
    return Bounds(None if start is None else _micros_of(start), _micros_of(end))


def format_moment(micros: int, form: str) -> str:
    """Return a time in UTC by directives of strftime, see `unsupported_directive`; no locale changes the text."""
    year, moment = _calendar(micros)
    values: dict[str, Callable[[], str]] = {
        "Y": lambda: _year_name(year),
        "y": lambda: f"{year % 100:02d}",
        "G": lambda: _year_name(year + moment.isocalendar().year - moment.year),
    }
    return _DIRECTIVE.sub(lambda found: values.get(found[1], lambda: moment.strftime(found[0]))(), form)


def unsupported_directive(form: str) -> str | None:
    """Return the first directive that is not one of `Y y m d j H M S G V u`, or a lone percent sign; None for none."""
    for part in re.findall("%.?", form, re.DOTALL):
        if part[1:] not in _PLAIN | {"Y", "y", "G"}:
            return str(part)
    return None


def _calendar(micros: int) -> tuple[int, datetime.datetime]:
    """Return the year of a moment, and the same moment, without its fraction, in a year that datetime has."""
    # the range of Beam's timestamps exceeds that of datetime, by 290,000 years on each side
    cycles, within = divmod(micros // MICROS, _CALENDAR_SECONDS)
    moment = _EPOCH + datetime.timedelta(seconds=within)
    return moment.year + cycles * _CALENDAR_YEARS, moment


def _micros_of(name: str) -> int:
    [(year, rest, fraction)] = _PARTS.findall(name)
    cycles, within = divmod(int(year.lstrip("Y")) - _EPOCH.year, _CALENDAR_YEARS)
    moment = datetime.datetime.strptime(f"{_EPOCH.year + within}{rest}Z", "%Y%m%dT%H%M%S%z")
    seconds = (moment - _EPOCH) // datetime.timedelta(seconds=1) + cycles * _CALENDAR_SECONDS
    return seconds * MICROS + int(fraction or 0)


def _year_name(year: int) -> str:
    if 1 <= year <= 9999:
        return f"{year:04d}"
    # "-" sorts before all digits and "Y" after them; the "+" of ISO 8601 means a space in URLs
    return f"Y{year:06d}" if year > 0 else f"-{-year:06d}"
