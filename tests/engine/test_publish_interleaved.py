"""The commit of a stream where an outdated worker wakes in the middle of a rollback, and both go on."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable

import greenlet
import pytest

from beam_s3box.engine.lineage import Lineage
from beam_s3box.errors import OutdatedWorkError
from tests.engine.test_publish import ASLEEP, Unbounded, World, live

FIRINGS = [[0, 1], [2, 3], [4, 5]]
"""The records of each."""


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


NOT_COVERED = {(2, "fewer", 2): 1, (2, "one firing", 2): 1, (1, "one firing", 0): 2, (1, "one firing", 1): 2}
"""Points at which all that it has left to do falls between the last look and the replacement, which is one request.

It writes the second manifest of the firing that is replaced, or the only one of a later firing, and looks.
"""


@pytest.mark.parametrize("checkpoint", [0, 1, 2])
@pytest.mark.parametrize("shards", ["more", "fewer", "one firing"])
@pytest.mark.parametrize("count", [1, 2])
def test_an_outdated_worker_wakes_within_a_rollback(count: int, shards: str, checkpoint: int) -> None:
    """It sleeps before each of its calls, and wakes before each of those of the live one."""
    tried, twice = 0, list[tuple[int, int]]()
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
                assert len(twice) == NOT_COVERED.get((count, shards, checkpoint), 0), twice
                return
            cuts = [[[one] for one in ids] if shards == "more" else [ids] for ids in FIRINGS[checkpoint:]]
            if shards == "one firing":
                cuts = [[ids for cut in cuts for ids in cut]]
            again = Unbounded(world, [world.shards(*each) for each in cuts], states[checkpoint])
            world.clock.now += ASLEEP
            other = pausing(world, lambda again=again: live(again), woken)  # type: ignore[misc]
            other.switch()
            has_ended = other.dead
            outdated.switch()
            if not has_ended:
                other.switch()
            listed = world.listed(again.committed(world))
            assert set(listed) == {one for ids in FIRINGS for one in ids}, f"slept at {slept}, woke at {woken}"
            tried += 1
            if max(listed.values()) > 1:
                twice.append((slept, woken))
            if has_ended:
                break
