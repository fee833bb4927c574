"""A topic of records that come over time, and readers of it: the package's own step, tracker and watermark."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import apache_beam as beam
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from beam_s3box.sources.elements import Batches
from beam_s3box.sources.parked import PARKED
from beam_s3box.sources.positions import PartsProvider, PartsTracker, ReaderElement, ReaderWork
from beam_s3box.sources.reader import RANGES, Reading, ReadParts
from beam_s3box.sources.source import Fetched, Look, Positions
from beam_s3box.sources.stop import Notices
from beam_s3box.sources.times import Placed
from beam_s3box.sources.watermark import LEAST, MICROS, Pacing
from beam_s3box.system.outside import wall_seconds
from tests.simulation.world import World

BUNDLE_SECONDS: Final = 6.0
PACING: Final = Pacing(delay=1.0, idle=4.0, look=9.0, bundle=BUNDLE_SECONDS)
FORGET: Final = (PARKED._readers.clear, LEAST._times.clear)
"""What a process knows of readers."""

_GLOBAL: Final = GlobalWindow()


class Record(NamedTuple):
    """A record of a topic.

    Attributes:
      id: which it is.
      part: where it is.
      arrives, happened: when it comes, and the time that it counts for, in seconds.
      line: its bytes.
    """

    id: int
    part: str
    arrives: float
    happened: float
    line: bytes


class Topic:
    """Parts with records; one that begins later is found by a look.

    Args:
      world: decides what fails.
      records: in the order in which they come.
    """

    def __init__(self, world: World, records: Sequence[Record]) -> None:
        self.world = world
        self.parts: dict[str, list[Record]] = {}
        for record in records:
            self.parts.setdefault(record.part, []).append(record)
        self.begins = {part: records[0].arrives if part != "0" else 0.0 for part, records in self.parts.items()}

    def first(self) -> Positions:
        return {part: "0" for part, begins in self.begins.items() if begins <= self.world.now}

    def number_of(self, part: str) -> int:
        return int(part)

    def name_of(self, part: str) -> str:
        return f"topic/{part}"

    def domain_of(self, part: str) -> str | None:
        return None

    def rows(self, fetched: Fetched) -> Iterator[tuple[int, Any]]:
        raise NotImplementedError

    def open(self, positions: Positions) -> _PartReader:
        return _PartReader(self, positions)


class _PartReader:
    def __init__(self, topic: Topic, positions: Positions) -> None:
        self._topic = topic
        self._next = {part: int(position) for part, position in positions.items()}
        self._ends: set[str] = set()

    def look(self, is_mine: Callable[[str], bool]) -> Look | None:
        topic, world = self._topic, self._topic.world
        if world.fails("source silent", 0.02):
            return None
        new = {part: "0" for part, begins in topic.begins.items() if begins <= world.now and is_mine(part)}
        self._next.update(dict.fromkeys(new, 0))
        return Look(new)

    def poll(self, seconds: float) -> list[Fetched]:
        world = self._topic.world
        world.sleep(seconds / 4)
        self._ends.clear()
        if world.fails("source silent", 0.02):
            return []
        found = []
        for part, begin in self._next.items():
            records = [one for one in self._topic.parts[part][begin : begin + 6] if one.arrives <= world.now]
            if not records:
                self._ends.add(part)
                continue
            some = records[: len(records) - world.choices.below(len(records))]
            self._next[part] = end = begin + len(some)
            millis = [int(one.arrives * 1_000) for one in some]
            found.append(Fetched(part, str(end), millis, [one.line for one in some], range(begin, end)))
        return found

    def at_end(self, part: str) -> bool:
        return part in self._ends

    def committed(self, positions: Positions) -> None: ...

    def close(self) -> None: ...


class _ByRecord(NamedTuple):
    """Records count for when they happened, which may be before the watermark."""

    happened: Mapping[bytes, float]

    def place(self, fetched: Fetched, watermark: int | None, now: int) -> Placed:
        groups: dict[int, list[int]] = {}
        for place, line in enumerate(fetched.values):
            groups.setdefault(int(self.happened[line]) * MICROS, []).append(place)
        return Placed(groups, max(groups, default=0))


@dataclasses.dataclass(frozen=True)
class ReaderState:
    """What the runner keeps of a reader.

    Attributes:
      element: it.
      work: what it has read.
      watermark: that its last bundle ended with.
      resumes: when it goes on, in seconds.
    """

    element: ReaderElement
    work: ReaderWork
    watermark: Any = None
    resumes: float = 0.0

    @property
    def positions(self) -> dict[str, int]:
        return {one.part: int(one.position) for one in self.work.ranges}

    @property
    def mark(self) -> int:
        """The watermark, in microseconds."""
        if self.work.is_done:
            return int(MAX_TIMESTAMP.micros)
        return int((MIN_TIMESTAMP if self.watermark is None else self.watermark).micros)

    def ended(self) -> ReaderState:
        """Return the reader where nothing more is to be read."""
        return dataclasses.replace(self, work=self.work._replace(is_done=True))


class _View:
    """What the step sees of its tracker."""

    def __init__(self, tracker: PartsTracker) -> None:
        self._tracker = tracker
        self.residual: ReaderWork | None = None
        self.delay = 0.0

    def current_restriction(self) -> ReaderWork:
        return self._tracker.current_restriction()

    def try_claim(self, position: Any) -> bool:
        return self._tracker.try_claim(position)

    def defer_remainder(self, delay: Any) -> None:
        self.delay = delay.micros / MICROS
        self.split()

    def split(self) -> None:
        """Take away what is not read, as a runner may do at any moment."""
        found = self._tracker.try_split(0)
        if found is not None:
            self.residual = found[1]


class Readers:
    """The step that reads, in one process.

    Args:
      topic: what is read.
      notices: of the run.
      readers: how many.
      gathers: whether the runner keeps one watermark for all.
    """

    def __init__(self, topic: Topic, notices: Notices, readers: int, *, gathers: bool) -> None:
        happened = {record.line: record.happened for records in topic.parts.values() for record in records}
        token = topic.world.token()
        reading = Reading(topic, _ByRecord(happened), Batches(), PACING, token, notices, gathers, wall_seconds)
        self._step = ReadParts(reading)
        self._topic = topic
        self._readers = readers

    def first(self) -> list[ReaderState]:
        """Return the readers before they have read anything."""
        found, states = self._topic.first(), []
        for number in range(self._readers):
            mine = tuple((part, "0") for part in sorted(found) if int(part) % self._readers == number)
            element = (number, self._readers, int(wall_seconds() * MICROS), mine)
            states.append(ReaderState(element, PartsProvider().initial_restriction(element)))
        return states

    def bundle(self, state: ReaderState) -> ReaderBundle:
        return ReaderBundle(self._step, state)

    def is_at_end(self, state: ReaderState) -> bool:
        """Return whether a reader has ended, or has read all that will ever come."""
        parts = self._topic.parts
        mine = [part for part in parts if int(part) % self._readers == state.element[0]]
        return state.work.is_done or all(state.positions.get(part, 0) == len(parts[part]) for part in mine)

    def read(self, states: Sequence[ReaderState]) -> list[Record]:
        """Return the records before the positions of readers."""
        ends = [end for state in states for end in state.positions.items()]
        return [record for part, end in ends for record in self._topic.parts[part][:end]]

    def between(self, before: ReaderState, after: ReaderState) -> list[Record]:
        """Return the records that a bundle has read."""
        begins = before.positions
        return [
            record
            for part, end in after.positions.items()
            for record in self._topic.parts[part][begins.get(part, 0) : end]
        ]


class ReaderBundle:
    """A bundle of one reader."""

    def __init__(self, step: ReadParts, state: ReaderState) -> None:
        self._step = step
        self._state = state
        self._tracker = PartsTracker(state.work)
        self._estimator = ManualWatermarkEstimator(state.watermark)
        self.view = _View(self._tracker)
        self.ranges: list[Any] = []

    def elements(self) -> Iterator[WindowedValue]:
        """Read, and yield what is emitted."""
        emitted = self._step.process(self._state.element, MIN_TIMESTAMP, self.view, self._estimator)
        for one in emitted:
            if not isinstance(one, beam.pvalue.TaggedOutput):
                yield WindowedValue(one.value, one.timestamp, (_GLOBAL,))
            elif one.tag == RANGES:
                self.ranges.append(one.value)
        self._tracker.check_done()

    def after(self) -> ReaderState:
        """Return what the runner keeps when the bundle is committed."""
        work = self.view.residual or self._tracker.current_restriction()
        watermark: Timestamp = self._estimator.current_watermark()
        return dataclasses.replace(
            self._state, work=work, watermark=watermark, resumes=wall_seconds() + self.view.delay
        )
