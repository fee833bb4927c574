"""Bundles of an unbounded pipeline, and the workers that run them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from apache_beam.utils.windowed_value import WindowedValue

from tests.simulation.graph import Worker
from tests.simulation.keyed import BundleState, KeyState
from tests.simulation.reading import ReaderBundle
from tests.simulation.world import Actor


@dataclasses.dataclass(eq=False)
class Execution:
    """A worker that runs a bundle."""

    worker: Worker
    state: BundleState
    reading: ReaderBundle | None
    actor: Actor
    has_begun: bool = False


@dataclasses.dataclass(eq=False)
class Bundle:
    """Work that a runner gives to workers.

    Attributes:
      stage: its number.
      taken: how many elements of each key.
      elements: with their keys.
      timers: key, name and time of each that fires.
      before: the state of its keys when it began.
      reader: the number of a reader; None for other stages.
      begun: keys that a worker has looked at.
      given: keys that were given away.
      emits: whether what it emits counts.
    """

    stage: int
    taken: Mapping[Any, int]
    elements: Sequence[tuple[Any, WindowedValue]]
    timers: Sequence[tuple[Any, str, int]]
    before: Mapping[Any, KeyState]
    reader: int | None = None
    begun: set[Any] = dataclasses.field(default_factory=set)
    given: set[Any] = dataclasses.field(default_factory=set)
    executions: list[Execution] = dataclasses.field(default_factory=list)
    emits: bool = True

    @property
    def keys(self) -> set[Any]:
        return {*self.before} - self.given
