"""A bounded pipeline as Spark runs it: a lost executor takes some outputs along, and only these are computed again.

Spark itself repeats whole stages where it knows that another execution has another result; this engine never does. So
what holds here needs neither that nor an empty cache: a partition that is not lost is one that Spark, or Beam's runner,
has kept or cached.
"""

from __future__ import annotations

import collections
import zlib
from typing import Any, Final

from tests.simulation.batch import BatchJob, Elements
from tests.simulation.graph import Stage

_PARTITIONS: Final = 3
_LOSSES: Final = 3
"""Of executors, in a job."""


class SparkJob(BatchJob):
    """One execution of a pipeline; bundles are partitions, by the keys of their groups."""

    def run(self) -> None:
        """Run all stages.

        Raises:
          JobFailedError: a bundle failed at each try.
        """
        losses = 0
        lost: dict[str, set[int]] = collections.defaultdict(set)
        for number, stage in enumerate(self._stages):
            self._run_stage(stage)
            while losses < _LOSSES and self._world.fails("executor lost", 1.0):
                losses += 1
                for earlier in self._stages[: number + 1]:
                    if earlier.kind != "flatten":
                        partitions = range(len(self._cut(earlier)))
                        lost[earlier.label].update(one for one in partitions if self._world.choices.happens(0.6))
                self._compute_again(number + 1, lost)

    def _compute_again(self, executed: int, lost: dict[str, set[int]]) -> None:
        """Run lost partitions again whose outputs somebody needs: stages that were not executed, or are so again."""
        needed = {source for stage in self._stages[executed:] for source in _sources(stage)}
        again: list[tuple[Stage, set[int] | None]] = []
        for stage in reversed(self._stages[:executed]):
            if needed & set(stage.sinks) and (lost[stage.label] or stage.kind == "flatten"):
                # a union is no stage of Spark's: it passes on what there is
                again.insert(0, (stage, None if stage.kind == "flatten" else lost.pop(stage.label)))
                needed |= set(_sources(stage))
        for stage, ones in again:
            partitions = dict(enumerate(self._cut(stage)))
            self._run_bundles(stage, {one: partitions[one] for one in partitions if ones is None or one in ones})

    def _commit(self, number: int, emitted: dict[Any, Elements]) -> None:
        """Take each output that is missing; of a stage with several, those that were not lost are kept, or cached."""
        for sink, elements in emitted.items():
            if number not in self._emitted[sink] or len(emitted) == 1 or self._world.choices.happens(0.7):
                self._emitted[sink][number] = elements

    def _cut(self, stage: Stage) -> list[Elements]:
        if stage.kind == "source":
            return [self._in_any_order(self._source[first::_PARTITIONS]) for first in range(_PARTITIONS)]
        if stage.kind == "flatten":
            return [elements for source, _ in stage.flattens for _, elements in sorted(self._emitted[source].items())]
        if stage.kind != "group":
            return super()._cut(stage)
        partitions: list[Elements] = [[] for _ in range(_PARTITIONS)]
        for group in self._grouped(stage):
            key, values = group.value
            partitions[_partition_of(key)].append(group.with_value((key, self._in_any_order(values))))
        return partitions

    def _in_any_order(self, elements: list[Any]) -> list[Any]:
        """Return what another execution may meet in another order."""
        first = self._world.choices.below(len(elements)) if elements else 0
        return [*elements[first:], *elements[:first]]


def _partition_of(key: Any) -> int:
    return zlib.crc32(repr(key).encode()) % _PARTITIONS


def _sources(stage: Stage) -> list[Any]:
    """Return the collections that a stage reads."""
    return [stage.upstream] if stage.upstream is not None else [source for source, _ in stage.flattens]
