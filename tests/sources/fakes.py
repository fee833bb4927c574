"""A source in memory, and a bundle of its reader as a runner would run it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.runners.sdf_utils import RestrictionTrackerView, ThreadsafeRestrictionTracker
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import MIN_TIMESTAMP

from beam_s3box.sources.positions import PartsTracker, ReaderWork
from beam_s3box.sources.reader import ReadParts
from beam_s3box.sources.source import Fetched, Look, Positions

NOW = 1_700_000_000


class MemorySource:
    """Parts with lists of (milliseconds, value); a position is a place in the list."""

    def __init__(self, **parts: list[tuple[int, bytes]]) -> None:
        self.parts = parts
        self.opened: list[MemoryReader] = []
        self.is_lost = False
        self.failure: Exception | None = None

    def first(self) -> Positions:
        return dict.fromkeys(self.parts, "0")

    def number_of(self, part: str) -> int:
        return ord(part)

    def name_of(self, part: str) -> str:
        return f"memory://{part}"

    def domain_of(self, part: str) -> str | None:
        return None

    def rows(self, fetched: Fetched) -> Iterator[tuple[int, Any]]:
        for millis, value in zip(fetched.millis, fetched.values, strict=True):
            yield millis * 1_000, value

    def open(self, positions: Positions) -> MemoryReader:
        self.opened.append(MemoryReader(self, dict(positions)))
        return self.opened[-1]


class MemoryReader:
    def __init__(self, source: MemorySource, positions: dict[str, str]) -> None:
        self._source = source
        self._positions = positions
        self.is_closed = False
        self.notes: list[Positions] = []

    def look(self, is_mine: Callable[[str], bool]) -> Look | None:
        if self._source.is_lost:
            return None
        new = {part: "0" for part in self._source.parts if is_mine(part)}
        self._positions |= new
        return Look(new)

    def poll(self, seconds: float) -> list[Fetched]:
        assert not self.is_closed
        if self._source.failure is not None:
            raise self._source.failure
        found = []
        for part, position in self._positions.items():
            at = int(position)
            some = [] if self._source.is_lost else self._source.parts[part][at : at + 2]
            if some:
                self._positions[part] = str(at + len(some))
                millis, values = [one[0] for one in some], [one[1] for one in some]
                found.append(Fetched(part, self._positions[part], millis, values, range(at, at + len(some))))
        return found

    def at_end(self, part: str) -> bool:
        return not self._source.is_lost and int(self._positions[part]) >= len(self._source.parts[part])

    def committed(self, positions: Positions) -> None:
        self.notes.append(dict(positions))

    def close(self) -> None:
        self.is_closed = True


class Bundle(NamedTuple):
    """What a bundle left.

    Attributes:
      records: elements, with their times in microseconds since 1970.
      tagged: other outputs, by tag.
      rest: what the runner goes on with; None if nothing is left.
      watermark: in seconds since 1970; None before all time.
      wait: seconds that the rest is put off.
    """

    records: list[tuple[int, Any]]
    tagged: dict[str, list[Any]]
    rest: ReaderWork | None
    watermark: float | None
    wait: float


def run_bundle(
    read: ReadParts,
    work: ReaderWork,
    reader: tuple[int, int] = (0, 1),
    begun: int = NOW,
    watermark: Any = None,
    split_after: int | None = None,
) -> Bundle:
    """Run one bundle; `split_after`: so many outputs the runner takes the rest away."""
    tracker = ThreadsafeRestrictionTracker(PartsTracker(work))
    estimator = ManualWatermarkEstimator(watermark)
    view = RestrictionTrackerView(tracker)
    records, tagged, taken = [], {}, None  # type: ignore[var-annotated]
    outputs = read.process((*reader, begun * 1_000_000, ()), MIN_TIMESTAMP, view, estimator)
    for number, output in enumerate(outputs, 1):
        if isinstance(output, beam.pvalue.TaggedOutput):
            tagged.setdefault(output.tag, []).append(output.value)
        else:
            assert isinstance(output, TimestampedValue)
            records.append((output.timestamp.micros, output.value))
        if number == split_after:
            taken = tracker.try_split(0)
    tracker.check_done()
    deferred = tracker.deferred_status()
    rest = deferred[0] if deferred else (taken[1] if taken else None)
    wait = float(deferred[1].micros) / 1e6 if deferred else 0.0
    current = estimator.current_watermark()
    is_begin = current is None or current == MIN_TIMESTAMP
    return Bundle(records, tagged, rest, None if is_begin else float(current.micros) / 1e6, wait)
