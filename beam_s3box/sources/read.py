"""ReadSource: all readers of a source, and what they say when they stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam

from beam_s3box.checks import check_whole
from beam_s3box.shards.runs import new_token
from beam_s3box.sources.elements import Elements
from beam_s3box.sources.positions import PartRange, ReaderElement
from beam_s3box.sources.reader import COUNTS, RANGES, RECORDS, Reading, ReadParts
from beam_s3box.sources.source import Positions, Source
from beam_s3box.sources.stop import Notices
from beam_s3box.sources.times import EventTimes
from beam_s3box.sources.watermark import MICROS, Pacing
from beam_s3box.system.outside import wall_seconds

_MAX_READERS = 1_000
_TOKEN_CHARACTERS = 12
_LONG_BUNDLES = frozenset({"FlinkRunner", "PortableRunner"})
_LONG_SECONDS = 6.0
"""Beam's runners for Flink before 2.76 keep 6 KB for ever of each time that a reader puts off its rest: with this
bundles that makes 86 MB a day and reader."""


class SourceOutputs(NamedTuple):
    """What readers emit.

    Attributes:
      records: elements, stamped.
      ranges: of each part, when its reader stops.
      counts: `(name, number)`: how many records were read, and whatever the event times count.
    """

    records: beam.PCollection[Any]
    ranges: beam.PCollection[PartRange]
    counts: beam.PCollection[tuple[str, int]]


class ReadSource(beam.PTransform):
    """Reads a source until it is stopped.

    *Guarantees*: each record of each part is emitted in exactly one bundle that counts, from the first position on; the
    runner keeps the positions. Parts that are created while it runs are read from their begin.

    *Windows*: the global window. The watermark is the least of all parts; a part that nobody can tell the end of,
    because the source does not answer, holds it.

    Args:
      source: what is read.
      times: say when a record happened.
      elements: make elements of records.
      element_type: of these.
      pacing: how readers keep time.
      readers: how many; they share the parts.
      start: where to begin; None asks the source when the pipeline runs.
      notices: of the run; None where nobody can stop it but the runner.

    Raises:
      ConfigurationError: a number of readers that can't be.
    """

    def __init__(
        self,
        source: Source,
        times: EventTimes,
        elements: Elements,
        element_type: Any,
        pacing: Pacing,
        readers: int = 1,
        start: Positions | None = None,
        notices: Notices | None = None,
    ) -> None:
        super().__init__()
        self._readers = check_whole("readers", readers, 1, _MAX_READERS)
        self._reading = Reading(source, times, elements, pacing, new_token(_TOKEN_CHARACTERS), notices)
        self._element_type = element_type
        self._start = start

    def expand(self, begin: beam.pvalue.PBegin) -> SourceOutputs:
        """Return the records and what is known of them."""
        read = beam.ParDo(ReadParts(self._reading_on(begin.pipeline.runner)))
        outputs = (
            begin
            | "Begin" >> beam.Impulse()
            | "FindParts" >> beam.ParDo(_FindParts(self._reading, self._readers, self._start))
            # what was found is kept, and not asked for again when the readers are
            | "SpreadReaders" >> beam.Reshuffle()
            | "ReadParts" >> read.with_outputs(RANGES, COUNTS, main=RECORDS)
        )
        records = outputs[RECORDS]
        records.element_type = self._element_type
        return SourceOutputs(records, outputs[RANGES], outputs[COUNTS])

    def _reading_on(self, runner: Any) -> Reading:
        kinds = {kind.__name__ for kind in type(runner).__mro__}
        reading = self._reading
        if "PrismRunner" in kinds:
            return reading._replace(gathers=True)
        if kinds & _LONG_BUNDLES and reading.pacing.bundle < _LONG_SECONDS:
            return reading._replace(pacing=reading.pacing._replace(bundle=_LONG_SECONDS))
        return reading


class _FindParts(beam.DoFn):
    def __init__(self, reading: Reading, readers: int, start: Positions | None) -> None:
        self._reading = reading
        self._readers = readers
        self._start = start

    def process(self, element: bytes) -> Iterator[ReaderElement]:
        source, begun = self._reading.source, int(wall_seconds() * MICROS)
        start = source.first() if self._start is None else self._start
        for reader in range(self._readers):
            mine = [(part, start[part]) for part in sorted(start) if source.number_of(part) % self._readers == reader]
            yield reader, self._readers, begun, tuple(mine)
