"""Every order in which a few threads may meet, up to so many delays: a scheduler that tries one after the other.

An actor goes on until it waits, then the next one in turn. Before it takes a lock, uses a queue or calls the disk, and
wherever the next one is chosen, others may come first: each of them is a delay. Few of them show most faults of threads.
Source: Emmi, Qadeer, Rakamaric, "Delay-bounded scheduling", 2011.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from tests.simulation.locks import on_locks
from tests.simulation.world import Actor, Choices, HangsError, World

_SHORT_SECONDS: Final = 0.01
"""Waits that are no waits here, but places where others may go on."""

Scenario = Callable[[World], Callable[[], None]]
"""Spawns actors in a world, and returns what checks the end."""


class _Point(NamedTuple):
    """A choice of who goes on.

    Attributes:
      place: of the choice among all that were made.
      limit: how many could.
    """

    place: int
    limit: int


class _Scheduled(World):
    """A world without faults, in which the choices say who goes on; 0 is whoever was at work."""

    def __init__(self, given: Sequence[int]) -> None:
        super().__init__(Choices(given=given), trouble=0.0)
        self.points: list[_Point] = []
        self._last: Actor | None = None

    def _wait(self, seconds: float) -> None:
        super()._wait(0.0 if seconds < _SHORT_SECONDS else seconds)

    def _step(self) -> bool:
        self.actors = [actor for actor in self.actors if not actor.ended]
        if not self.actors:
            return False
        self.now = max(self.now, min(actor.wakes for actor in self.actors))
        ready = [actor for actor in self.actors if actor.wakes <= self.now]
        ready.sort(key=lambda actor: actor is not self._last)
        chosen = 0
        if len(ready) > 1:
            chosen = self.choices.below(len(ready))
            self.points.append(_Point(len(self.choices.made) - 1, len(ready)))
        self._last = ready[chosen]
        self._go_on(self._last)
        return True


def explore(scenario: Scenario, delays: int, most: int) -> int:
    """Run a scenario in each order, and return how many there are; raises AssertionError for one that breaks it.

    Args:
      scenario: begins again each time.
      delays: the most of one run.
      most: runs; more orders than that are an AssertionError, as nobody would know what was not tried.
    """
    waiting: list[list[int]] = [[]]
    runs = 0
    while waiting:
        given = waiting.pop()
        runs += 1
        assert runs <= most, f"more than {most} orders: a smaller scenario, or fewer delays"
        made, points = _run(scenario, given)
        if sum(value > 0 for value in given) < delays:
            later = [point for point in points if point.place >= len(given)]
            waiting += [[*made[:place], value] for place, limit in later for value in range(1, limit)]
    return runs


def _run(scenario: Scenario, given: Sequence[int]) -> tuple[list[int], list[_Point]]:
    world = _Scheduled(given)
    reported: list[BaseException] = []
    try:
        with on_locks(world, reported.append, yields=1.0) as switch:
            check = scenario(world)
            world.run_all()
            assert not switch.hung, switch.hung
            errors = [f"{actor.name}: {actor.error!r}" for actor in world.everybody if actor.error is not None]
            assert not errors, errors
            check()
            assert not reported, reported
    except (AssertionError, HangsError) as exc:
        raise AssertionError(f"{exc}; the order: {world.choices.made}") from exc
    return world.choices.made, world.points
