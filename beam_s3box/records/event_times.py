"""When a record happened, read off its line in microseconds since 1970; and lines by the windows of their times."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.encoding import BAD_TIMESTAMP, MISSING_TIMESTAMP, diagnose
from beam_s3box.records.json_values import whole_number
from beam_s3box.records.lines import cut_line_of
from beam_s3box.records.paths import decoder_of, find_field, paths_of
from beam_s3box.records.rejected_lines import RejectedLines
from beam_s3box.records.selector import missing_field

MICROS: Final = 1_000_000
"""In a second; event times are counted in them, as Beam counts."""

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND: Final = datetime.timedelta(microseconds=1)
_NUMBER: Final = re.compile(r"\d{1,20}(\.\d{1,20})?")
_KNOWN_TEXTS: Final = 65_536
_DATE_DIGITS: Final = 8

# up to the year 5138 in each unit, and none begins before another has ended but for the 1970s
_MOST_SECONDS, _MOST_MILLIS, _MOST_MICROS = 10**11, 10**14, 10**17

LATEST: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999: readers know no later days."""

_SHOWN: Final = 60
"""Characters of a value that is no time."""


@dataclasses.dataclass(frozen=True)
class EventTimes:
    """Which field holds the time of a record, and how long the windows are into which records go by it.

    Attributes:
      field: named as the fields of streams are.
      seconds: of a window; the first one begins with 1970, in UTC.

    Raises:
      ConfigurationError: no field can have this name.
    """

    field: str
    seconds: int

    def __post_init__(self) -> None:
        field_reader(self.field)

    @functools.cached_property
    def splitter(self) -> WindowSplitter:
        """What splits lines by these windows."""
        return WindowSplitter(self)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: no decoder."""
        return {"field": self.field, "seconds": self.seconds}


class WindowSplitter:
    """Splits lines by their windows; what has no time, or one before 1970 or after 9999, is rejected."""

    def __init__(self, times: EventTimes) -> None:
        self._field = times.field
        self._micros_of = field_reader(times.field)
        self._size = times.seconds * MICROS

    def split(self, batch: LineBatch) -> Iterator[tuple[int | None, LineBatch | RejectedLines]]:
        """Yield the lines of each window in order, with its begin; and with None those that are rejected.

        Lines that were cut are yielded with None as they are: the write says what is wrong with them.
        """
        size, micros_of = self._size, self._micros_of
        windows: dict[int, list[int]] = {}
        without: list[int] = []
        for at, line in enumerate(batch.lines):
            micros = micros_of(line)
            if micros is None or micros > LATEST:
                without.append(at)
                continue
            number = micros // size
            group = windows.get(number)
            if group is None:
                windows[number] = [at]
            else:
                group.append(at)
        for number, places in windows.items():
            yield number * size, batch if len(places) == len(batch.lines) else batch.part(places)
        for rejected in self._rejected(batch, without) if without else ():
            yield None, rejected

    def _rejected(self, batch: LineBatch, places: list[int]) -> Iterator[LineBatch | RejectedLines]:
        """Yield the lines at these places, by what is wrong with them."""
        cut: list[int] = []
        faults: dict[tuple[str, str], list[int]] = {}
        for at in places:
            if cut_line_of(batch.lines[at]) is not None:
                cut.append(at)
            else:
                faults.setdefault(fault_of(batch.lines[at], self._field), []).append(at)
        if cut:
            yield batch.part(cut)
        for (reason, detail), some in faults.items():
            yield RejectedLines(reason, detail, batch.part(some))


def micros_of(value: str | int | float | None) -> int | None:
    """Return the time that a value names, in microseconds since 1970, or None: a time before 1970 counts as none."""
    if isinstance(value, str):
        return _micros_of_text(value)
    return None if value is None else _micros_of_number(value)


def field_reader(field: str) -> Callable[[bytes], int | None]:
    """Return the function from a line to its time, in microseconds since 1970; None for a line without a usable one.

    Args:
      field: that holds it, named as the fields of streams are.

    Raises:
      ConfigurationError: the name can't be that of a field.
    """
    paths = paths_of(field)
    try:
        decode, time_of = decoder_of([paths or ((field,),)], str | int | float)
    except ValueError as exc:
        raise ConfigurationError(f"--timestamp_field={field!r} can't be used: {exc}") from exc
    if not paths:
        raise ConfigurationError(f"--timestamp_field={field!r} can't be used: a backslash stands only before a dot")

    def read(line: bytes) -> int | None:
        try:
            return micros_of(time_of(decode(line)))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            # no JSON, or another kind of value: who rejects the line says what is wrong with it
            return None

    return read


def fault_of(line: bytes, field: str) -> tuple[str, str]:
    """Return the reason and detail of a dead letter for a line without a usable time."""
    error = diagnose(line)
    if error is not None:
        return error.reason, str(error)
    value = find_field(json.loads(line, parse_int=whole_number), paths_of(field), _as_mapping)
    if value is None:
        return MISSING_TIMESTAMP, missing_field(field)
    shown = json.dumps(value, ensure_ascii=False, default=str)
    if len(shown) > _SHOWN:
        shown = f"{shown[:_SHOWN]}…"
    return BAD_TIMESTAMP, (
        f"field {field!r} is {shown}, which is no time from 1970 to 9999: ISO 8601, or a number since 1970 in seconds, "
        "milli-, micro- or nanoseconds"
    )


@functools.lru_cache(_KNOWN_TEXTS)
def _micros_of_text(text: str) -> int | None:
    if _NUMBER.fullmatch(text) and len(text) != _DATE_DIGITS:
        return _micros_of_number(float(text) if "." in text else int(text))
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    micros = (moment - _EPOCH) // _MICROSECOND
    return micros if micros >= 0 else None


def _micros_of_number(number: int | float) -> int | None:
    if number < 0:
        return None
    if number < _MOST_SECONDS:
        return round(number * MICROS)
    if number < _MOST_MILLIS:
        return round(number * 1_000)
    return round(number) if number < _MOST_MICROS else int(number // 1_000)


def _as_mapping(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None
