"""ReadStream: the lines of files that are found while the job runs, in the windows of their event times."""

from __future__ import annotations

import collections
import os
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.options.windows import MICROS, Timing
from beam_s3box.jobs.read.counts import AHEAD, ARRIVALS, READ, TOO_LATE, UNTIMED, ReadCount
from beam_s3box.jobs.read.event_times import OLDEST_ARRIVAL, Placer
from beam_s3box.jobs.read.files import FileRange, Reading, ranges_of, read_part
from beam_s3box.jobs.read.find import FoundInput
from beam_s3box.jobs.read.input_files import NO_OPTIONS, find_version, s3_access_of
from beam_s3box.jobs.read.queue.look import RejectedMessage
from beam_s3box.jobs.read.queue.receive import ReceivedObjects
from beam_s3box.jobs.read.row_batches import ReadRow
from beam_s3box.jobs.read.rows import RowOptions
from beam_s3box.jobs.read.unreadable import UNREADABLE, read_or_reject
from beam_s3box.jobs.read.watch import FoundFile
from beam_s3box.metrics import FILE_LAG_MILLISECONDS, FILES_READ, NAMESPACE
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.lines import MAX_UNLIMITED_LINE_BYTES
from beam_s3box.records.rejected_rows import RejectedRow
from beam_s3box.sources.positions import PartRange
from beam_s3box.transforms.runtime import BeamCounts
from beam_s3box.transforms.windowing import WindowingChoice, window_into

_ROWS: Final = RowOptions()
_LINES: Final = "lines"
_COUNTS: Final = "counts"

ON_THE_WAY_SECONDS: Final = 600.0
"""Nothing holds the watermark back for a late record that was let in: it goes on while the record is read, packed and
uploaded, and so long its window has to wait for it."""

_Part = tuple[str, int, int, str, int, str, int, int]
"""The FileRange; size and arrival of the FoundFile."""


class StreamInput(NamedTuple):
    """What is read.

    Attributes:
      lines: batches of JSON as bytes, in their windows.
      counts: `(name, number)`: how many lines were read, one in several windows as often, and how many of them count
        for the time their file arrived.
      ranges: how far each part of a source of records is read, when it stops; None for files.
    """

    lines: beam.PCollection[LineBatch]
    counts: beam.PCollection[ReadCount]
    ranges: beam.PCollection[PartRange] | None = None


class ReadStream(beam.PTransform):
    """Reads files of records, packed or not, and puts each record in the windows of its time; blank lines are none.

    Takes a PCollection of FoundFile rows, or what `ReceiveObjects` returns. Records of one period that are read
    together are one element.

    *Guarantees*: each record of each file is read. A file that can't be read, has grown since it was found, or is
    replaced or changed while it is read, fails the bundle, or is kept aside. No record is too late for its window's
    manifest (see `Placer`).

    Args:
      timing: when records happened, and which go together.
      max_line_bytes: of a longer line only the beginning is read, which the write rejects.
      path_columns: whether columns that stand in the path are taken into the records.
      input_format: one of `INPUT_FORMATS`.
      rows: how files of rows are read.
      keeps_unreadable: whether a file that can't be read, as it is gone or not what it seems to be, becomes a dead
        letter and does not fail the bundle.

    Raises:
      ConfigurationError: the field or the lateness can't work.
    """

    def __init__(
        self,
        timing: Timing,
        max_line_bytes: int = MAX_UNLIMITED_LINE_BYTES,
        path_columns: bool = False,
        *,
        input_format: str = "auto",
        rows: RowOptions = _ROWS,
        keeps_unreadable: bool = False,
    ) -> None:
        super().__init__()
        self._reading = Reading(NO_OPTIONS, input_format, max_line_bytes, rows, path_columns)
        self._keeps_unreadable = keeps_unreadable
        kept = timing.lateness + OLDEST_ARRIVAL / MICROS + ON_THE_WAY_SECONDS
        self._windowing = WindowingChoice(timing.windows.windowfn(), kept, timing.triggering_frequency)
        self._timing = timing
        Placer(timing)

    def expand(self, files: beam.PCollection | ReceivedObjects) -> StreamInput:
        """Return the lines and their numbers."""
        rejected = None
        if isinstance(files, ReceivedObjects):
            files, rejected = files
        reading = self._reading._replace(access=s3_access_of(files.pipeline.options))
        split = beam.ParDo(_SplitFoundFile(reading, self._keeps_unreadable)).with_output_types(_Part)
        read = beam.ParDo(_ReadBatches(self._timing, reading, self._keeps_unreadable))
        parts = files | "SplitFiles" >> split | "SpreadRanges" >> beam.Reshuffle()
        lines, counts = _two_of(parts | "ReadLines" >> read.with_outputs(_COUNTS, main=_LINES))
        if rejected is not None:
            place = beam.ParDo(_PlaceRejected(self._timing)).with_outputs(_COUNTS, main=_LINES)
            more_lines, more_counts = _two_of(rejected | "PlaceRejected" >> place)
            lines = (lines, more_lines) | "WithRejected" >> beam.Flatten()
            counts = (counts, more_counts) | "CountRejected" >> beam.Flatten()
        return StreamInput(lines | "IntoWindows" >> window_into(self._windowing.apply_to(lines)), counts)


def _two_of(outputs: beam.pvalue.DoOutputsTuple) -> tuple[beam.PCollection, beam.PCollection]:
    return outputs[_LINES], outputs[_COUNTS]


class _SplitFoundFile(beam.DoFn):
    def __init__(self, reading: Reading, keeps_unreadable: bool) -> None:
        self._reading = reading
        self._keeps_unreadable = keeps_unreadable

    def process(self, file: FoundFile) -> Iterator[_Part]:
        path, size, arrived, version = file
        for part in self._ranges(path, size, version):
            yield (*part, size, arrived)

    def _ranges(self, path: str, size: int, version: str) -> Iterator[FileRange]:
        try:
            if size < 0:
                version, size = find_version(path, size, self._reading.access)
            yield from ranges_of(FoundInput(path, size, version, 0), self._reading)
        except UNREADABLE:
            if not self._keeps_unreadable:
                raise
            # whoever reads it meets the same, and says so
            yield FileRange(path, 0, -1, version, size)


class _ReadBatches(beam.DoFn):
    """Yields batches of lines of one period, stamped with its start, and counts, tagged."""

    def __init__(self, timing: Timing, reading: Reading, keeps_unreadable: bool) -> None:
        self._timing = timing
        self._reading = reading
        self._keeps_unreadable = keeps_unreadable

    def setup(self) -> None:
        self._placer = Placer(self._timing)
        self._counters = {name: Metrics.counter(NAMESPACE, name) for name in ARRIVALS}

    def process(self, part: _Part) -> Iterator[TimestampedValue | beam.pvalue.TaggedOutput]:
        path, start, stop, version, there, kind, size, arrived = part
        file = FileRange(path, start, stop, version, there, kind)
        counts: collections.Counter[str] = collections.Counter()
        each_in = self._timing.windows.each_in
        for batch in self._batches(file):
            if isinstance(batch, RejectedRow):
                yield _placed(batch, arrived, self._timing)
                counts[READ] += each_in
                continue
            placed = self._placer.place(batch.lines, arrived)
            for micros, group in placed.groups.items():
                some = batch if len(group) == len(batch.lines) else batch.part(group)
                yield TimestampedValue(some, Timestamp(micros=micros))
            counts[READ] += len(batch.lines) * each_in
            counts.update({UNTIMED: placed.untimed, AHEAD: placed.ahead, TOO_LATE: placed.too_late})
        _check_unchanged(path, size)
        if not start:
            shared = BeamCounts()
            shared.count(FILES_READ)
            shared.count(FILE_LAG_MILLISECONDS, max(0, int(time.time() * 1000) - arrived // 1000))
        for name, number in counts.items():
            if number:
                yield beam.pvalue.TaggedOutput(_COUNTS, (name, number))
        for name, counter in self._counters.items():
            counter.inc(counts[name])

    def _batches(self, file: FileRange) -> Iterator[ReadRow]:
        return read_or_reject(file, self._reading) if self._keeps_unreadable else read_part(file, self._reading)


class _PlaceRejected(beam.DoFn):
    """Yields rejected messages as rejected rows of the period in which they were sent, and their number, tagged."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing

    def process(self, message: RejectedMessage) -> Iterator[TimestampedValue | beam.pvalue.TaggedOutput]:
        row, sent = message
        yield _placed(row, sent, self._timing)
        yield beam.pvalue.TaggedOutput(_COUNTS, (READ, self._timing.windows.each_in))


def _placed(row: RejectedRow, arrived: int, timing: Timing) -> TimestampedValue:
    windows = timing.windows
    return TimestampedValue(row, Timestamp(micros=windows.start_of(windows.period_of(arrived))))


def _check_unchanged(path: str, size: int) -> None:
    """Raise ConfigurationError for a local file that has grown since it was found: what came then would be lost."""
    # one that is gone was read whole all the same
    if FileSystems.get_scheme(path) is None and os.path.exists(path) and os.path.getsize(path) != size:
        raise ConfigurationError(
            f"--input: {path!r} has changed since it was found: move files into the folder when they are whole, or "
            "give a larger --min_age"
        )
