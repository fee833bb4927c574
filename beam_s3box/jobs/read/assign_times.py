"""AssignTimes: records of files go into windows by the time that one of their fields holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import apache_beam as beam
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from beam_s3box.jobs.read.row_batches import ReadColumns
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.column_batch import ColumnBatch
from beam_s3box.records.column_times import split_columns
from beam_s3box.records.event_times import EventTimes
from beam_s3box.records.rejected_lines import RejectedLines
from beam_s3box.records.rejected_rows import RejectedRow

_NO_TIME: Final = Timestamp(0)
"""Of what becomes a dead letter: its window is in no key."""


class AssignTimes(beam.PTransform):
    """Stamps batches of lines with the begin of a window; lines of one window that were read together stay together.

    *Guarantees*: a line without a time, or with one before 1970 or beyond the year 9999, is handed on as rejected.

    Args:
      times: which field holds the time, and the windows.
    """

    def __init__(self, times: EventTimes) -> None:
        super().__init__()
        self._times = times

    def expand(self, read: beam.PCollection) -> beam.PCollection:
        """Return batches of lines, rejected lines and rejected rows."""
        return read | "ByTime" >> beam.ParDo(_ByTime(self._times)).with_output_types(Any)


class _ByTime(beam.DoFn):
    def __init__(self, times: EventTimes) -> None:
        self._times = times

    def process(self, element: ReadColumns) -> Iterator[TimestampedValue]:
        if isinstance(element, RejectedRow):
            yield TimestampedValue(element, _NO_TIME)
            return
        for start, lines in self._split(element):
            yield TimestampedValue(lines, _NO_TIME if start is None else Timestamp(micros=start))

    def _split(
        self, batch: LineBatch | ColumnBatch
    ) -> Iterator[tuple[int | None, LineBatch | ColumnBatch | RejectedLines]]:
        if isinstance(batch, ColumnBatch):
            return split_columns(batch, self._times)
        return self._times.splitter.split(batch)
