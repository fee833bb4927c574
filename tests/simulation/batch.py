"""A bounded pipeline as engines run it: bundles of any size, on several workers, done again, twice, and after the fact.

A stage begins when those that it reads from have ended. What a bundle emits counts when the runner commits it; what
other executions of the same bundle wrote to the store stays there.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any, Final

from apache_beam.utils.windowed_value import WindowedValue

from beam_s3box.transforms import runtime
from tests.simulation.graph import Stage, Worker, impulse
from tests.simulation.world import LOST_SECONDS, Actor, World

_TRIES: Final = 4
"""Of a bundle, before the job fails."""

_WORKERS: Final = 3

Elements = list[WindowedValue]


class JobFailedError(Exception):
    """A bundle failed too often."""


class BatchJob:
    """One execution of a pipeline.

    Args:
      world: decides.
      stages: of the pipeline.
      source: what its source reads.
    """

    def __init__(self, world: World, stages: Sequence[Stage], source: Elements) -> None:
        self._world = world
        self._stages = stages
        self._source = source
        self._emitted: dict[Any, dict[int, Elements]] = collections.defaultdict(dict)
        self._redone = 0

    def run(self) -> None:
        """Run all stages.

        Raises:
          JobFailedError: a bundle failed at each try.
        """
        number = 0
        while number < len(self._stages):
            self._run_stage(self._stages[number])
            number += 1
            if number < len(self._stages) and self._redone < 2 and self._world.fails("shuffled data lost", 0.02):
                self._redone += 1
                number = self._world.choices.below(number + 1)

    def _run_stage(self, stage: Stage) -> None:
        for sink in stage.sinks:
            self._emitted[sink].clear()
        self._run_bundles(stage, dict(enumerate(self._cut(stage))))

    def _commit(self, number: int, emitted: dict[Any, Elements]) -> None:
        for sink, elements in emitted.items():
            self._emitted[sink][number] = elements

    def _run_bundles(self, stage: Stage, bundles: dict[int, Elements]) -> None:
        tries = collections.Counter[int]()
        running: dict[Actor, int] = {}
        world = self._world
        while bundles or running:
            open_ones = [number for number in bundles if number not in running.values()]
            for number in open_ones[: max(0, _WORKERS - len(running))]:
                running[self._begin(stage, number, bundles[number])] = number
            if len(running) < _WORKERS and bundles and world.fails("bundle given to a second worker", 0.02):
                number = sorted(bundles)[world.choices.below(len(bundles))]
                running[self._begin(stage, number, bundles[number])] = number
            world.run(lambda: any(map(self._is_over, running)))
            for actor in [actor for actor in running if self._is_over(actor)]:
                number = running.pop(actor)
                if number not in bundles:
                    continue
                if actor.ended and actor.error is None and not world.fails("commit lost", 0.01):
                    self._commit(number, actor.result)
                    del bundles[number]
                    continue
                tries[number] += bool(actor.error)
                if tries[number] >= _TRIES and actor.error is not None:
                    raise JobFailedError(f"{stage.label}: {actor.error}") from actor.error

    def _is_over(self, actor: Actor) -> bool:
        """Return whether the runner hears no more of this execution."""
        if actor.ended or actor.is_dead:
            return True
        return actor.was_frozen and actor.asleep_until >= self._world.now + LOST_SECONDS / 2

    def _begin(self, stage: Stage, number: int, elements: Elements) -> Actor:
        # a worker of its own for each execution, in another process: it claims the run id, too
        runtime._CLAIMED.clear()
        runtime._FINISHED.clear()
        worker = Worker(stage)

        def began() -> None:
            # what sleeps before that begins when it wakes
            actor.can_freeze = True

        def run() -> dict[Any, Elements]:
            return worker.run(elements, began=began)

        actor = self._world.spawn(f"{stage.label} bundle {number}", run)
        return actor

    def _cut(self, stage: Stage) -> list[Elements]:
        """Return the bundles of a stage."""
        if stage.kind == "source":
            elements = self._source
        elif stage.kind == "impulse":
            elements = impulse()
        elif stage.kind == "group":
            elements = self._grouped(stage)
        else:
            elements = [value for source, _ in stage.flattens for value in self._emitted_by(source)]
        bundles: list[Elements] = []
        start = 0
        while start < len(elements):
            size = 1 + self._world.choices.below(len(elements) - start)
            bundles.append(elements[start : start + size])
            start += size
        return bundles

    def _emitted_by(self, collection: Any) -> Elements:
        return [value for _, values in sorted(self._emitted[collection].items()) for value in values]

    def _grouped(self, stage: Stage) -> Elements:
        groups: dict[tuple[str, Any], tuple[Any, list[Any]]] = {}
        for value in self._emitted_by(stage.upstream):
            key, one = value.value
            groups.setdefault((repr(key), value.windows[0]), (key, []))[1].append(one)
        return [
            WindowedValue((key, values), window.max_timestamp(), (window,))
            for (_, window), (key, values) in groups.items()
        ]
