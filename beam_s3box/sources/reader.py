"""ReadParts: a reader of some parts of a source as Beam runs it, bundle by bundle, from positions that it keeps."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import apache_beam as beam
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Duration, Timestamp

from beam_s3box.metrics import NAMESPACE
from beam_s3box.sources.elements import Elements
from beam_s3box.sources.parked import PARKED, OpenReader
from beam_s3box.sources.positions import PartsProvider, ReaderElement, ReaderWork, ranges_of
from beam_s3box.sources.source import Fetched, Source
from beam_s3box.sources.stop import Notices
from beam_s3box.sources.times import EventTimes
from beam_s3box.sources.watermark import LEAST, MICROS, Pacing, PartsWatermark
from beam_s3box.system.outside import steady_seconds, wall_seconds

RECORDS: Final = "records"
RANGES: Final = "ranges"
COUNTS: Final = "counts"

READ: Final = "records_read"
PASSED: Final = "records_passed"
"""Those without a value, as tombstones of Kafka."""

_POLL_SECONDS: Final = 0.2


class Reading(NamedTuple):
    """What a step of readers does.

    Attributes:
      source: what is read.
      times: say when a record happened.
      elements: make elements of records.
      pacing: how readers keep time.
      token: distinguishes the step from others in a process.
      notices: of the run; None where nobody can stop it but the runner.
      gathers: whether the runner keeps one watermark for all readers, which are in one process then.
      clock: seconds since 1970.
    """

    source: Source
    times: EventTimes
    elements: Elements
    pacing: Pacing
    token: str
    notices: Notices | None = None
    gathers: bool = False
    clock: Callable[[], float] = wall_seconds


class ReadParts(beam.DoFn):
    """Reads the parts of each reader, an element each, until it is stopped.

    Emits elements of records, stamped; tagged `RANGES` the PartRange of each part when it stops; tagged `COUNTS` pairs
    of a name and a number to add.

    Claimed is what has been fetched; what a runner takes away before that is fetched again, by whoever goes on.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        element: ReaderElement,
        timestamp: Any = beam.DoFn.TimestampParam,
        tracker: Any = beam.DoFn.RestrictionParam(PartsProvider()),  # noqa: B008 - Beam reads it off the default
        estimator: Any = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider()),  # noqa: B008
    ) -> Iterator[TimestampedValue | beam.pvalue.TaggedOutput]:
        """Read for a bundle; then let the runner commit it, and go on."""
        # without one, a runner holds the watermark at the beginning of time, or takes that of another reader
        _advance(estimator, timestamp)
        work = tracker.current_restriction()
        if work.is_done:
            return
        bundle = _Bundle(self._reading, element, work, tracker, estimator)
        with bundle.opened():
            yield from bundle.read()


class _Bundle:
    """A reader within one bundle."""

    def __init__(
        self, reading: Reading, element: ReaderElement, work: ReaderWork, tracker: Any, estimator: Any
    ) -> None:
        self._reading = reading
        self._number, self._readers, self._begun, _ = element
        self._parts = {one.part: (one.first, one.position) for one in work.ranges}
        self._tracker = tracker
        self._estimator = estimator
        self._counts: collections.Counter[str] = collections.Counter()

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Open a reader, or take the one that was parked here; within the block it is closed unless it is parked."""
        place = self._place()
        found = PARKED.take(place)
        if found is None:
            reader = self._reading.source.open({part: position for part, (_, position) in self._parts.items()})
            found = OpenReader(reader, PartsWatermark(self._reading.pacing, 0))
        self._open = found
        self._is_parked = False
        try:
            yield
        finally:
            if not self._is_parked:
                found.reader.close()

    def read(self) -> Iterator[TimestampedValue | beam.pvalue.TaggedOutput]:
        """Read until the bundle's time is over, nothing more comes, or the run is stopped."""
        until = steady_seconds() + self._reading.pacing.bundle
        if self._reading.gathers:
            LEAST.commit(self._reading.token, self._number, self._open.watermark.current)
        self._open.reader.committed({part: position for part, (_, position) in self._parts.items()})
        while True:
            now = self._now()
            if self._is_stopped(now):
                yield from self._end()
                return
            self._look(now)
            fetched = self._open.reader.poll(_POLL_SECONDS)
            elements = self._take(fetched, now)
            if not self._tracker.try_claim(ranges_of(self._parts)):
                return  # somebody else has the rest
            yield from elements
            self._advance_after(now)
            left = until - steady_seconds()
            if not fetched or left <= 0:
                yield from self._count()
                self._put_off(max(0.0, left))
                return

    def _take(self, fetched: list[Fetched], now: int) -> list[TimestampedValue]:
        """Return the elements of records, and note how far the reader has come."""
        elements: list[TimestampedValue] = []
        watermark = self._watermark()
        for one in fetched:
            placed = self._reading.times.place(one, watermark, now)
            if placed.latest:
                self._open.watermark.saw(one.part, placed.latest, now)
            made = self._reading.elements.of(self._reading.source, one, placed)
            elements += (TimestampedValue(value, Timestamp(micros=micros)) for micros, value in made)
            first = self._parts[one.part][0]
            self._parts[one.part] = first, one.position
            self._counts[READ] += len(one.values)
            self._counts[PASSED] += one.passed
            self._counts.update(placed.counts)
        return elements

    def _look(self, now: int) -> None:
        """Look for parts that are new, now and then."""
        watermark = self._open.watermark
        if not watermark.is_look_due(now):
            return
        found = self._open.reader.look(self._is_mine)
        if found is None:
            return
        for part, position in found.new.items():
            self._parts[part] = position, position
        for part in found.gone:
            self._parts.pop(part, None)
        watermark.forget(found.gone)
        watermark.looked(now)

    def _is_mine(self, part: str) -> bool:
        return part not in self._parts and self._reading.source.number_of(part) % self._readers == self._number

    def _is_stopped(self, now: int) -> bool:
        after, notices = self._reading.pacing.stop_after, self._reading.notices
        if after is not None and now - self._begun >= after * MICROS:
            return True
        return notices is not None and notices.is_stop_asked()

    def _end(self) -> Iterator[beam.pvalue.TaggedOutput]:
        """Stop where the reader is: a busy topic has no end."""
        if not self._tracker.try_claim(None):
            return
        yield from self._count()
        for one in ranges_of(self._parts):
            yield beam.pvalue.TaggedOutput(RANGES, one)
        if self._reading.gathers:
            LEAST.commit(self._reading.token, self._number, _END_OF_TIME)

    def _count(self) -> Iterator[beam.pvalue.TaggedOutput]:
        for name, number in self._counts.items():
            if number:
                Metrics.counter(NAMESPACE, name).inc(number)
                yield beam.pvalue.TaggedOutput(COUNTS, (name, number))

    def _put_off(self, seconds: float) -> None:
        """Let the runner commit the bundle, and park the reader for the next one."""
        PARKED.park(self._place(), self._open)
        self._is_parked = True
        self._tracker.defer_remainder(Duration.of(seconds))

    def _advance_after(self, now: int) -> None:
        reading = self._reading
        micros = self._open.watermark.after(self._parts, self._open.reader.at_end, now)
        if reading.gathers:
            micros = LEAST.least(reading.token, self._number, self._readers, micros)
        if micros is not None:
            _advance(self._estimator, Timestamp(micros=micros))

    def _watermark(self) -> int | None:
        current = self._estimator.current_watermark()
        return None if current is None else int(current.micros)

    def _place(self) -> tuple[str, int, Any]:
        return self._reading.token, self._number, ranges_of(self._parts)

    def _now(self) -> int:
        return int(self._reading.clock() * MICROS)


_END_OF_TIME: Final = 2**62
"""Holds nobody."""


def _advance(estimator: Any, watermark: Timestamp) -> None:
    """Let the watermark go on; an estimator refuses one that goes back."""
    current = estimator.current_watermark()
    if current is None or watermark > current:
        estimator.set_watermark(watermark)
