"""AssignTimes: records of files go into windows by the time that one of their fields holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import apache_beam as beam
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from beam_s3box.jobs.options.windows import EventTimes
from beam_s3box.jobs.read.event_times import time_reader
from beam_s3box.jobs.read.row_batches import ReadRow
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.encoding import BAD_TIMESTAMP, MISSING_TIMESTAMP, diagnose
from beam_s3box.records.lines import cut_line_of
from beam_s3box.records.paths import find_field, paths_of
from beam_s3box.records.rejected_lines import RejectedLines
from beam_s3box.records.selector import missing_field

_LATEST: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999, in microseconds since 1970: readers know no later days."""

_NO_TIME: Final = Timestamp(0)
"""Of what becomes a dead letter: its window is in no key."""

_SHOWN: Final = 60
"""Characters of a value that is no time."""


class AssignTimes(beam.PTransform):
    """Stamps batches of lines with the begin of a window; lines of one window that were read together stay together.

    *Guarantees*: a line without a time, or with one before 1970 or beyond the year 9999, is handed on as rejected.

    Args:
      times: which field holds the time, and the windows.

    Raises:
      ConfigurationError: the field can't have this name.
    """

    def __init__(self, times: EventTimes) -> None:
        super().__init__()
        time_reader(times.field)
        self._times = times

    def expand(self, read: beam.PCollection) -> beam.PCollection:
        """Return batches of lines, rejected lines and rejected rows."""
        return read | "ByTime" >> beam.ParDo(_ByTime(self._times)).with_output_types(Any)


class _ByTime(beam.DoFn):
    def __init__(self, times: EventTimes) -> None:
        self._times = times

    def setup(self) -> None:
        self._micros_of = time_reader(self._times.field)

    def process(self, element: ReadRow) -> Iterator[TimestampedValue]:
        if not isinstance(element, LineBatch):
            yield TimestampedValue(element, _NO_TIME)
            return
        windows, micros_of = self._times.windows, self._micros_of
        periods: dict[int, list[int]] = {}
        without: list[int] = []
        for at, line in enumerate(element.lines):
            micros = micros_of(line)
            if micros is None or micros > _LATEST:
                without.append(at)
                continue
            period = windows.period_of(micros)
            group = periods.get(period)
            if group is None:
                periods[period] = [at]
            else:
                group.append(at)
        for period, places in periods.items():
            some = element if len(places) == len(element.lines) else element.part(places)
            yield TimestampedValue(some, Timestamp(micros=windows.start_of(period)))
        if without:
            for rejected in self._rejected(element, without):
                yield TimestampedValue(rejected, _NO_TIME)

    def _rejected(self, batch: LineBatch, places: list[int]) -> Iterator[LineBatch | RejectedLines]:
        """Yield the lines at these places by what is wrong with them; the write says so of lines that were cut."""
        cut: list[int] = []
        faults: dict[tuple[str, str], list[int]] = {}
        for at in places:
            if cut_line_of(batch.lines[at]) is not None:
                cut.append(at)
            else:
                faults.setdefault(fault_of(batch.lines[at], self._times.field), []).append(at)
        if cut:
            yield batch.part(cut)
        for (reason, detail), some in faults.items():
            yield RejectedLines(reason, detail, batch.part(some))


def fault_of(line: bytes, field: str) -> tuple[str, str]:
    """Return the reason and detail of a dead letter for a line without a usable time."""
    error = diagnose(line)
    if error is not None:
        return error.reason, str(error)
    value = find_field(json.loads(line), paths_of(field), _as_mapping)
    if value is None:
        return MISSING_TIMESTAMP, missing_field(field)
    shown = json.dumps(value, ensure_ascii=False)
    if len(shown) > _SHOWN:
        shown = f"{shown[:_SHOWN]}…"
    return BAD_TIMESTAMP, (
        f"field {field!r} is {shown}, which is no time from 1970 to 9999: ISO 8601, or a number since 1970 in seconds, "
        "milli-, micro- or nanoseconds"
    )


def _as_mapping(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None
