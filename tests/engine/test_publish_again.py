"""The commit under replay: work done again, outdated workers that wake at any step, and failures at every write.

The plain parts that the DoFns call are driven here as a runner does it. Whatever happens, in the end each record is
listed once, found by reading what the commit says.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from beam_s3box.engine.manifests import plan_manifests
from beam_s3box.engine.publish import Publisher
from beam_s3box.engine.run_record import RunRecord
from beam_s3box.errors import AccessError, S3BoxError, TransientStoreError
from beam_s3box.shards.model import NOTHING
from tests.engine.commit_world import (
    ASLEEP,
    IDS,
    STREAM,
    Bounded,
    Calls,
    LooksFirst,
    OnThisThread,
    Unbounded,
    World,
    check,
    die,
    interrupted,
    live,
    lives,
    until_done,
)

SHARDS = ["same", "other", "fewer", "more", "mixed", "parts"]
MATRIX = list(itertools.product([True, False], ["stream", "run"], [1, 3], SHARDS))
matrix = pytest.mark.parametrize(("bounded", "per", "count", "shards"), MATRIX)


@matrix
@pytest.mark.parametrize("times", [1, 2])
def test_done_again_from_the_checkpoint(bounded: bool, per: str, count: int, shards: str, times: int) -> None:
    world = World(per, count, bounded)
    for life in lives(world, shards, times):
        live(life)
        check(world)


@matrix
def test_begun_and_given_to_another_worker_at_any_step(bounded: bool, per: str, count: int, shards: str) -> None:
    """The first worker ends for good at each call to the store; the next one begins from the checkpoint."""
    for step in itertools.count():
        world = World(per, count, bounded)
        first, second = lives(world, shards, 1)
        ended = interrupted(world, first, step, die)
        live(second)
        check(world)
        if not ended:
            break
    assert step > 3


@matrix
@pytest.mark.parametrize("kind", [Calls, LooksFirst])
def test_an_outdated_worker_that_wakes_at_any_step(
    bounded: bool, per: str, count: int, shards: str, kind: type[Calls]
) -> None:
    """It sleeps before a call to the store, or after it; when it wakes, another has done all of its work from the checkpoint.

    So it is with a store without conditions, too, but for what happens between its look and its write.
    """
    for step in itertools.count():
        world = World(per, count, bounded, kind=kind)
        first, second = lives(world, shards, 1)

        def sleep(world: World = world, second: Bounded | Unbounded = second) -> None:
            world.clock.now += ASLEEP
            live(second)

        slept = interrupted(world, first, step, sleep)
        if not slept:
            live(second)
        check(world)
        if not slept:
            break
    assert step > 3


@pytest.mark.parametrize("winner", ["first", "second"])
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("count", [1, 3])
def test_two_live_copies_of_one_bundle_whichever_the_runner_keeps(count: int, moment: str, winner: str) -> None:
    """As where a runner lets another worker do what is slow: the same lists, and one of the two fails somewhere."""
    for step, other in itertools.product(range(12), range(12)):
        world = World("stream", count, True)
        files = world.shards(*([number] for number in IDS))
        first, second = (tuple(Bounded(world, files).bundles()) for _ in range(2))
        calls = itertools.count()
        done: list[str] = []

        def hook(
            name: str,
            when: str,
            world: World = world,
            second: Any = second,
            step: int = step,
            other: int = other,
            calls: Any = calls,
            done: Any = done,
        ) -> None:
            number = next(calls)
            if number == step and name != "delete":
                world.store.hook = lambda name, when: None
                world.clock.now += ASLEEP
                until_done(second[0])
                done.append("second")
                world.store.hook = hook
            if number == other and when == moment:
                raise TransientStoreError("failed on purpose")

        world.store.hook = hook
        with contextlib.suppress(TransientStoreError):
            first[0]()
            done.append("first")
        world.store.hook = lambda name, when: None
        write, finish = first if winner == "first" else second
        if winner not in done:
            until_done(write)
        until_done(finish)
        check(world)


class Execution:
    """A bounded run from its beginning to its end, by one launcher."""

    def __init__(self, world: World, attempt: str) -> None:
        self.store = world.store
        self.claim = dataclasses.replace(world.claim, attempt=attempt)
        self.plans = plan_manifests(STREAM, "", 0, world.shards(*([number] for number in IDS)), world.count)

    def run(self) -> None:
        try:
            self.claim.take(self.store)
            rows = Publisher.begin(self.store, self.claim).write_all(self.plans, OnThisThread())
            self.claim.finish(self.store, rows, NOTHING, len(IDS))
        except S3BoxError as exc:
            self.claim.fail_by(self.store, exc)


@pytest.mark.parametrize("fails", [None, "before", "after"])
@pytest.mark.parametrize("count", [1, 3])
def test_an_execution_that_was_taken_over_wakes_at_any_step(count: int, fails: str | None) -> None:
    """Also where it failed, and its launcher is about to say so."""
    for failing, step in itertools.product(range(1, 10) if fails else [-1], range(30)):
        world = World("stream", count, True)
        old, new = Execution(world, "old"), Execution(world, "new")
        calls = itertools.count()

        def hook(
            name: str,
            when: str,
            world: World = world,
            new: Execution = new,
            step: int = step,
            failing: int = failing,
            calls: Any = calls,
        ) -> None:
            number = next(calls)
            if number == step:
                world.store.hook = lambda name, when: None
                world.clock.now += ASLEEP
                new.run()
                world.store.hook = hook
            if number == failing and when == fails:
                raise AccessError("failed on purpose")

        world.store.hook = hook
        with contextlib.suppress(S3BoxError):
            old.run()
        world.store.hook = lambda name, when: None
        record = RunRecord.parse("", world.store.get("runs/run.json"))
        if record.state != "finished":
            assert record.attempt != "new"
            assert next(calls) <= step or fails
            continue
        assert [world.store.stat(row.key).sha256 for row in record.manifests] == [
            row.sha256 for row in record.manifests
        ]
        assert world.listed([row.key for row in record.manifests]) == Counter(IDS)


@matrix
@pytest.mark.parametrize("when", ["before", "after"])
def test_each_call_fails_once(bounded: bool, per: str, count: int, shards: str, when: str) -> None:
    """The bundle fails with it, and is done again; so for each call of the first life, and of the second one."""
    for step in itertools.count():
        world = World(per, count, bounded)
        calls, failed = itertools.count(), False

        def fail(name: str, moment: str, step: int = step, calls: Iterator[int] = calls) -> None:
            nonlocal failed
            if moment == when and next(calls) == step:
                failed = True
                raise TransientStoreError("failed on purpose")

        for life in lives(world, shards, 1):
            world.store.hook = fail
            live(life)
            world.store.hook = lambda name, when: None
            check(world)
        if not failed:
            break
    assert step > 3
