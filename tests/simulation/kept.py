"""What a runner of an unbounded pipeline has committed: positions, elements that wait, state, timers, watermarks.

A checkpoint is a copy of it, and an engine that restarts puts a copy in its place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from apache_beam.transforms import userstate
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from tests.simulation.graph import Stage
from tests.simulation.keyed import KeyState
from tests.simulation.panes import Firing, Groups
from tests.simulation.reading import ReaderState
from tests.simulation.world import World

_MIN: Final = MIN_TIMESTAMP.micros
_MAX: Final = MAX_TIMESTAMP.micros
_NEVER: Final = Firing(None, 0)


class Topology:
    """How the stages of a pipeline hang together.

    Attributes:
      stages: the source first, each behind those that it reads from.
      consumers: the numbers of the stages that read a collection.
      upstream: the numbers of the stages that a stage reads from.
      timers: specifications of the timers of a stage, by name.
      firings: when the groups of a stage fire.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = stages
        self.consumers: dict[Any, list[int]] = {}
        for number, stage in enumerate(stages):
            reads = [stage.upstream] if stage.upstream is not None else []
            reads += [source for source, target in stage.flattens if target is stage.root]
            for collection in reads:
                self.consumers.setdefault(collection, []).append(number)
        self.upstream = [
            [other for other, stage in enumerate(stages) for sink in stage.sinks if number in self.consumers[sink]]
            for number in range(len(stages))
        ]
        self.timers = [_timers_of(stage) for stage in stages]
        self.firings = [Firing.of(stage.upstream.windowing) if stage.kind == "group" else _NEVER for stage in stages]


@dataclasses.dataclass
class Kept:
    """What is committed.

    Attributes:
      topology: of the pipeline.
      readers: their positions and watermarks.
      source: the watermark of all of them, in microseconds.
      pending: elements that wait for each stage, by key; by a number where a stage has no keys.
      keyed: state and timers of each stage, by key.
      groups: of each GroupByKey.
      watermarks: of each stage's input.
      dropped: elements that came when their window was over.
      late: ids of records that were read when their window was over.
      numbers: how many were used.
    """

    topology: Topology
    readers: list[ReaderState]
    source: int
    pending: list[dict[Any, tuple[WindowedValue, ...]]]
    keyed: list[dict[Any, KeyState]]
    groups: list[Groups]
    watermarks: list[int]
    dropped: tuple[WindowedValue, ...] = ()
    late: frozenset[int] = frozenset()
    numbers: int = 0

    @classmethod
    def begin(cls, topology: Topology, readers: list[ReaderState]) -> Kept:
        """Return what there is before anything has run."""
        count = len(topology.stages)
        groups = [Groups(firing) for firing in topology.firings]
        return cls(
            topology, readers, _MIN, [{} for _ in range(count)], [{} for _ in range(count)], groups, [_MIN] * count
        )

    def copy(self) -> Kept:
        return dataclasses.replace(
            self,
            readers=list(self.readers),
            pending=list(map(dict, self.pending)),
            keyed=list(map(dict, self.keyed)),
            groups=[groups.copy() for groups in self.groups],
            watermarks=list(self.watermarks),
        )

    # ------------------------------------------------------------ elements

    def route(self, collection: Any, elements: Sequence[WindowedValue], now: int) -> None:
        """Give what a bundle has emitted to those that read it."""
        for number in self.topology.consumers[collection]:
            kind = self.topology.stages[number].kind
            for element in elements:
                if kind != "group":
                    self.put(number, element.value[0] if kind == "state" else None, element)
                elif not self.groups[number].add(element, self.watermarks[number], now):
                    self.dropped += (element,)

    def put(self, number: int, key: Any, element: WindowedValue) -> None:
        """Let an element wait for a stage."""
        if key is None:
            self.numbers += 1
            key = self.numbers
        self.pending[number][key] = (*self.pending[number].get(key, ()), element)

    def take(self, number: int, key: Any, count: int) -> None:
        """Let go the first elements of a key: they are done."""
        rest = self.pending[number].pop(key)[count:]
        if rest:
            self.pending[number][key] = rest

    def is_empty(self) -> bool:
        """Return whether nothing waits, but timers."""
        return not (
            any(self.pending)
            or any(state.values.get("segments") for keyed in self.keyed for state in keyed.values())
            or any(pane.values for groups in self.groups for pane in groups.panes.values())
        )

    # ------------------------------------------------------------ time

    def fire(self, world: World, now: int) -> None:
        """Let groups fire whose time has come."""
        for number, groups in enumerate(self.groups):
            for place in groups.due(self.watermarks[number], now):
                if world.fails("firing late", 0.05):
                    continue
                fired = groups.fire(place, self.watermarks[number])
                if world.fails("shuffled in another order", 0.05):
                    fired.value[1].reverse()
                self.put(number, None, fired)

    def advance(self, world: World) -> None:
        """Let the watermarks go on as far as what waits lets them, or stay behind and jump later."""
        ends: dict[int, int] = {}
        for number, stage in enumerate(self.topology.stages):
            waiting = [one.timestamp.micros for some in self.pending[number].values() for one in some]
            upstream = (
                [self.source] if stage.kind == "source" else [ends[other] for other in self.topology.upstream[number]]
            )
            bound = min([*upstream, *waiting])
            if bound > self.watermarks[number] and (bound == _MAX or not world.fails("watermark late", 0.05)):
                self.watermarks[number] = bound
            ends[number] = min([self.watermarks[number], *waiting, *self._holds(number)])
            self.groups[number].forget(self.watermarks[number])

    def due(self, number: int, now: int, early: Callable[[], bool]) -> dict[Any, list[tuple[int, str]]]:
        """Return the timers of a stage that may fire, by key and in order; those by the clock may be early."""
        found: dict[Any, list[tuple[int, str]]] = {}
        for key, state in self.keyed[number].items():
            for name, timer in state.timers.items():
                time = self.watermarks[number] if timer.by_watermark else now
                is_due = timer.at <= time or (not timer.by_watermark and timer.at <= now + 2_000_000 and early())
                if is_due:
                    found.setdefault(key, []).append((timer.at, name))
        return {key: sorted(timers) for key, timers in found.items()}

    def next_time(self, now: int) -> int | None:
        """Return when a timer by the clock or an early firing is due next."""
        timers = (
            timer.at
            for keyed in self.keyed
            for state in keyed.values()
            for timer in state.timers.values()
            if not timer.by_watermark
        )
        early = (groups.next_early() for groups in self.groups)
        return min((time for time in (*timers, *early) if time is not None and time > now), default=None)

    def _holds(self, number: int) -> Iterator[int]:
        for state in self.keyed[number].values():
            yield from (timer.at for timer in state.timers.values() if timer.by_watermark)
        held = self.groups[number].holds()
        if held is not None:
            yield held


def _timers_of(stage: Stage) -> dict[str, Any]:
    if stage.kind != "state":
        return {}
    _, timers = userstate.get_dofn_specs(stage.steps[0].transform.fn)
    return {spec.name: spec for spec in timers}
