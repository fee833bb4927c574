"""ReadRecordSource: the records of a source in the windows of their event times, for the streaming job."""

from __future__ import annotations

import apache_beam as beam

from beam_s3box.jobs.options.windows import Timing
from beam_s3box.jobs.read.source_times import SourceTimes
from beam_s3box.jobs.read.stream import ON_THE_WAY_SECONDS, StreamInput
from beam_s3box.records.batches import LineBatch
from beam_s3box.sources.elements import Batches
from beam_s3box.sources.read import ReadSource
from beam_s3box.sources.source import Positions, Source
from beam_s3box.sources.stop import Notices
from beam_s3box.sources.watermark import Pacing
from beam_s3box.transforms.windowing import WindowingChoice, window_into


class ReadRecordSource(beam.PTransform):
    """Reads a source, and puts each record in the windows of its time.

    *Guarantees*: those of ReadSource; and no record is too late for its window's manifest (see `SourceTimes`).

    Args:
      source: what is read.
      timing: when records happened, and which go together.
      pacing: how readers keep time.
      readers: how many.
      start: where to begin; None asks the source when the pipeline runs.
      notices: of the run.
    """

    def __init__(
        self,
        source: Source,
        timing: Timing,
        pacing: Pacing,
        readers: int,
        start: Positions | None,
        notices: Notices,
    ) -> None:
        super().__init__()
        self._read = ReadSource(
            source, SourceTimes(timing), Batches(), LineBatch, pacing, readers=readers, start=start, notices=notices
        )
        kept = timing.lateness + ON_THE_WAY_SECONDS
        self._windowing = WindowingChoice(timing.windows.windowfn(), kept, timing.triggering_frequency)

    def expand(self, begin: beam.pvalue.PBegin) -> StreamInput:
        """Return the records, their numbers, and how far each part is read in the end."""
        read = begin | "ReadSource" >> self._read
        windowed = read.records | "IntoWindows" >> window_into(self._windowing.apply_to(read.records))
        return StreamInput(windowed, read.counts, read.ranges)
