"""The commit of a stream where an outdated worker wakes in the middle of a rollback, and both go on."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable

import greenlet
import pytest

from beam_s3box.engine.lineage import Lineage
from beam_s3box.errors import OutdatedWorkError
from beam_s3box.system.outside import Outside, replaced
from tests.engine.commit_world import ASLEEP, Unbounded, World, live

FIRINGS = [[0, 1], [2, 3], [4, 5]]
"""The records of each."""


class Waits(Outside):
    """Whoever waits lets the other one go on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._main = greenlet.getcurrent()

    def sleep(self, seconds: float) -> None:
        self._world.clock.now += seconds
        self._main.switch()


def pausing(world: World, work: Callable[[], None], step: int) -> greenlet.greenlet:
    """Return work that pauses before this call to the store; later it goes on to its end."""
    main = greenlet.getcurrent()
    worker = greenlet.greenlet(work)
    of_others, left = world.store.hook, itertools.count(step, -1)

    def hook(name: str, when: str) -> None:
        if greenlet.getcurrent() is not worker:
            of_others(name, when)
        elif when == "before" and next(left) == 0:
            main.switch()

    world.store.hook = hook
    return worker


@pytest.mark.parametrize("checkpoint", [0, 1, 2])
@pytest.mark.parametrize("shards", ["more", "fewer", "one firing"])
@pytest.mark.parametrize("count", [1, 2])
def test_an_outdated_worker_wakes_within_a_rollback(count: int, shards: str, checkpoint: int) -> None:
    """It sleeps before each of its calls, and wakes before each of those of the live one."""
    tried = 0
    for slept in itertools.count():
        for woken in itertools.count():
            world = World("stream", count, False)
            first, states = Unbounded(world, [], Lineage()), []
            for number, ids in enumerate(FIRINGS[:2]):
                states.append(first.lineage)
                first.fire(f"w{number}", world.shards(*([one] for one in ids)))
            states.append(first.lineage)

            def write(world: World = world, first: Unbounded = first) -> None:
                with contextlib.suppress(OutdatedWorkError):
                    first.fire("w2", world.shards(*([one] for one in FIRINGS[2])))

            outdated = pausing(world, write, slept)
            outdated.switch()
            if outdated.dead:
                assert tried > 5
                return
            cuts = [[[one] for one in ids] if shards == "more" else [ids] for ids in FIRINGS[checkpoint:]]
            if shards == "one firing":
                cuts = [[ids for cut in cuts for ids in cut]]
            again = Unbounded(world, [world.shards(*each) for each in cuts], states[checkpoint])
            world.clock.now += ASLEEP
            other = pausing(world, lambda again=again: live(again), woken)  # type: ignore[misc]
            other.switch()
            has_ended = other.dead
            with replaced(Waits(world)):
                outdated.switch()
                if not has_ended:
                    other.switch()
                while not outdated.dead:
                    outdated.switch()
            listed = world.listed(again.committed(world))
            assert listed == Counter(itertools.chain(*FIRINGS)), f"slept at {slept}, woke at {woken}"
            tried += 1
            if has_ended:
                break
