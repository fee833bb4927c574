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
from beam_s3box.jobs.read.files import FileRange, Reading, ranges_of, read_json
from beam_s3box.jobs.read.find import FoundInput
from beam_s3box.jobs.read.input_files import s3_access_of
from beam_s3box.jobs.read.watch import FoundFile
from beam_s3box.metrics import FILE_LAG_MILLISECONDS, FILES_READ, NAMESPACE
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.lines import MAX_UNLIMITED_LINE_BYTES
from beam_s3box.sources.positions import PartRange
from beam_s3box.transforms.runtime import BeamCounts
from beam_s3box.transforms.windowing import WindowingChoice, window_into

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
    """Reads files of JSON, packed or not, and puts each record in the windows of its time; blank lines are none.

    Takes a PCollection of FoundFile rows. Lines of one period that are read together are one element.

    *Guarantees*: each line of each file is read. A file that can't be read, or has grown since it was found, fails the
    bundle, and so does one that is replaced or changed while it is read. No line is too late for its window's manifest
    (see `Placer`).

    Args:
      timing: when records happened, and which go together.
      max_line_bytes: of a longer line only the beginning is read, which the write rejects.
      path_columns: whether columns that stand in the path are taken into the records.

    Raises:
      ConfigurationError: the field or the lateness can't work.
    """

    def __init__(
        self, timing: Timing, max_line_bytes: int = MAX_UNLIMITED_LINE_BYTES, path_columns: bool = False
    ) -> None:
        super().__init__()
        self._path_columns = path_columns
        self._max_line_bytes = max_line_bytes
        kept = timing.lateness + OLDEST_ARRIVAL / MICROS + ON_THE_WAY_SECONDS
        self._windowing = WindowingChoice(timing.windows.windowfn(), kept, timing.triggering_frequency)
        self._timing = timing
        Placer(timing)

    def expand(self, files: beam.PCollection) -> StreamInput:
        """Return the lines and their numbers."""
        access = s3_access_of(files.pipeline.options)
        reading = Reading(access, max_line_bytes=self._max_line_bytes, path_columns=self._path_columns)
        read = beam.ParDo(_ReadBatches(self._timing, reading)).with_outputs(_COUNTS, main=_LINES)
        parts = files | "SplitFiles" >> beam.ParDo(_SplitFoundFile(reading)).with_output_types(_Part)
        outputs = parts | "SpreadRanges" >> beam.Reshuffle() | "ReadLines" >> read
        lines = outputs[_LINES]
        return StreamInput(lines | "IntoWindows" >> window_into(self._windowing.apply_to(lines)), outputs[_COUNTS])


class _SplitFoundFile(beam.DoFn):
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def process(self, file: FoundFile) -> Iterator[_Part]:
        path, size, arrived = file
        for part in ranges_of(FoundInput(path, size, "", 0), self._reading):
            yield (*part, size, arrived)


class _ReadBatches(beam.DoFn):
    """Yields batches of lines of one period, stamped with its start, and counts, tagged."""

    def __init__(self, timing: Timing, reading: Reading) -> None:
        self._timing = timing
        self._reading = reading

    def setup(self) -> None:
        self._placer = Placer(self._timing)
        self._counters = {name: Metrics.counter(NAMESPACE, name) for name in ARRIVALS}

    def process(self, part: _Part) -> Iterator[TimestampedValue | beam.pvalue.TaggedOutput]:
        path, start, stop, version, there, kind, size, arrived = part
        file = FileRange(path, start, stop, version, there, kind)
        counts: collections.Counter[str] = collections.Counter()
        for batch in read_json(file, self._reading):
            placed = self._placer.place(batch.lines, arrived)
            for micros, group in placed.groups.items():
                some = batch if len(group) == len(batch.lines) else batch.part(group)
                yield TimestampedValue(some, Timestamp(micros=micros))
            counts[READ] += len(batch.lines) * self._timing.windows.each_in
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


def _check_unchanged(path: str, size: int) -> None:
    """Raise ConfigurationError for a local file that has grown since it was found: what came then would be lost."""
    # one that is gone was read whole all the same
    if FileSystems.get_scheme(path) is None and os.path.exists(path) and os.path.getsize(path) != size:
        raise ConfigurationError(
            f"--input: {path!r} has changed since it was found: move files into the folder when they are whole, or "
            "give a larger --min_age"
        )
