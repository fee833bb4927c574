"""The commit under replay: work done again, outdated workers that wake at any step, and failures at every write.

The plain parts that the DoFns call are driven here as a runner does it: bundle by bundle, with the state of a checkpoint.
Whatever happens, in the end each record is listed once, found by reading what the commit says.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import Any

import pytest

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.lineage import Lineage
from beam_s3box.engine.manifests import Manifest, plan_manifests
from beam_s3box.engine.publish import Publisher, write_manifest
from beam_s3box.engine.run_reader import find_run
from beam_s3box.engine.run_record import RunRecord
from beam_s3box.engine.shard_rows import write_lists
from beam_s3box.errors import (
    AccessError,
    ObjectChangedError,
    ObjectExistsError,
    OutdatedWorkError,
    RunExistsError,
    S3BoxError,
    TransientStoreError,
)
from beam_s3box.records.streams import Stream
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import NOTHING, ShardFile
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import ObjectInfo
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.testing import FailingStore

STREAM = Stream("web", "clicks")
IDS = range(8)
ASLEEP = 100.0
"""Seconds that an outdated worker sleeps: other workers have its work by then."""


class Ticks:
    """A clock that goes on by a second whenever it is asked."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def etag_of(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


class Calls(MemoryStore):
    """A store that calls a hook before each of its calls, and after it; the hook may raise.

    Like S3 it gives the same bytes the same ETag, whoever writes them.
    """

    def __init__(self, clock: Ticks) -> None:
        super().__init__(new_token(12), clock)
        self.hook: Callable[[str, str], None] = lambda name, when: None

    def put(self, key: str, body: bytes, **arguments: Any) -> int:
        if arguments.get("if_match") is not None:
            arguments["if_match"] = self._etag_here(key, arguments["if_match"])
        return super().put(key, body, **arguments)

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        super().delete(key, if_match=if_match if if_match is None else self._etag_here(key, if_match))

    def read(self, key: str) -> tuple[bytes, ObjectInfo]:
        body, info = super().read(key)
        return body, info._replace(etag=etag_of(body))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        for info in super().list(prefix):
            state = self._state(info.key)
            yield info._replace(etag=etag_of(state.body if state and state.body else b""))

    def _etag_here(self, key: str, etag: str) -> str:
        state = self._state(key)
        return state.etag if state and state.body is not None and etag_of(state.body) == etag else "another"

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in ("put", "read", "stat", "list", "delete", "get"):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self.hook(name, "before")
            result = found(*args, **kwargs)
            self.hook(name, "after")
            return result

        return call


class LooksFirst(Calls):
    """A store whose server knows no conditions: it looks, and writes or removes whatever exists by then."""

    conditional_create = conditional_replace = conditional_delete = False

    def put(self, key: str, body: bytes, **arguments: Any) -> int:
        if_match = arguments.pop("if_match", None)
        state = self._state(key)
        there = None if state is None else state.body
        if there is not None and not arguments.pop("replace", False):
            raise ObjectExistsError(f"{key} exists")
        if if_match is not None and (there is None or etag_of(there) != if_match):
            raise ObjectChangedError(f"{key} is another")
        return super().put(key, body, **{**arguments, "replace": True})


class OnThisThread(Executor):
    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as exc:  # noqa: BLE001 - it is raised where the future is asked
            future.set_exception(exc)
        return future


@dataclasses.dataclass
class World:
    """One run under one claim, and what its shards hold."""

    per: str
    count: int
    bounded: bool
    clock: Ticks = dataclasses.field(default_factory=Ticks)
    held: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    numbers: Iterator[int] = dataclasses.field(default_factory=itertools.count)
    kind: type[Calls] = Calls

    def __post_init__(self) -> None:
        self.store = self.kind(self.clock)
        self.claim = RunClaim(Layout("run"), "attempt", bounded=self.bounded)
        self.claim.take(self.store)
        self.scope = STREAM if self.per == "stream" else None

    def shards(self, *groups: list[int]) -> list[ShardFile]:
        """Return new shards, each of some records."""
        made = []
        for ids in groups:
            key = f"data/web/clicks/{next(self.numbers):05d}.json.gz"
            url = self.store.url(key)
            self.held[url] = ids
            made.append(ShardFile("web", "clicks", "", url, key, len(ids), 10, 10 + len(ids), "ab", "records"))
        return made

    def listed(self, keys: list[str]) -> Counter[int]:
        entries = [entry for key in keys for entry in json.loads(self.store.get(key))["entries"]]
        return Counter(number for entry in entries for number in self.held[entry["url"]])


def until_done(bundle: Callable[[], Any]) -> Any:
    """Do a bundle as a runner does: again, and later, when it fails."""
    for _ in range(4):
        with contextlib.suppress(OutdatedWorkError, TransientStoreError):
            return bundle()
    pytest.fail("the live worker never got through")


# ---------------------------------------------------------------- lives of a run


class Bounded:
    """A backfill: the manifests are one bundle, the commit is another."""

    def __init__(self, world: World, files: list[ShardFile]) -> None:
        self.world = world
        self.files = files

    def bundles(self) -> Iterator[Callable[[], None]]:
        world = self.world
        listed: list[tuple[Manifest, tuple[ShardFile, ...]]] = []

        def write() -> None:
            plans = plan_manifests(world.scope, "", 0, self.files, world.count)
            rows = Publisher.begin(world.store, world.claim).write_all(plans, OnThisThread())
            listed[:] = [(row, plan.files) for row, plan in zip(rows, plans, strict=True)]

        def finish() -> None:
            detail = write_lists(world.store, world.claim.layout, listed, None, world.clock.now)
            world.claim.finish(world.store, [row for row, _ in listed], NOTHING, len(self.files), detail)

        yield write
        yield finish

    @staticmethod
    def committed(world: World) -> list[str]:
        record = world.claim.check_held(world.store)
        assert record.state == "finished"
        for row in record.manifests:
            assert world.store.stat(row.key).sha256 == row.sha256
        return [row.key for row in record.manifests]


class Unbounded:
    """A stream from its last checkpoint on: each firing is a bundle, and the lineage is the runner's state."""

    def __init__(self, world: World, firings: list[list[ShardFile]], lineage: Lineage) -> None:
        self.world = world
        self.firings = firings
        self.lineage = lineage

    def bundles(self) -> Iterator[Callable[[], None]]:
        for number, files in enumerate(self.firings):
            yield lambda number=number, files=files: self.fire(f"window-{number}", files)  # type: ignore[misc]

    def fire(self, window: str, files: list[ShardFile]) -> None:
        world, before = self.world, self.lineage
        plans = before.number(plan_manifests(world.scope, window, 0, files, world.count))
        publisher = Publisher.begin(world.store, world.claim)
        publisher.write_rows(plans, world.clock.now)
        publisher.write_firing(plans, before)
        self.lineage = before.after(publisher.key(plans[0]), plans[0])

    @staticmethod
    def committed(world: World) -> list[str]:
        return [info.key for info in world.store.list("manifests/")]


def groups_of(shards: str, old: list[list[int]]) -> list[list[int]]:
    """Return how the second time cuts what the first one had cut like this."""
    if shards == "fewer":
        return [[number for ids in old for number in ids]]
    return [[number] for ids in old for number in ids] if shards == "more" else old


def lives(world: World, shards: str, times: int) -> list[Bounded | Unbounded]:
    """Return the first life of a run, and as many later ones; an unbounded run has fired once before all of them."""
    old = [[0, 1], [2, 3], [4, 5], [6, 7]]
    if world.bounded:
        first = world.shards(*old)
        lists = [first]
        for _ in range(times):
            if shards in ("mixed", "parts"):
                lists.append(first[:2] + world.shards(*old[2:]))
            else:
                lists.append(first if shards == "same" else world.shards(*groups_of(shards, old)))
        return [Bounded(world, files) for files in lists]
    start = Unbounded(world, [world.shards([0], [1])], Lineage())
    until_done(next(start.bundles()))
    made = [world.shards(*([number] for number in ids)) for ids in old[1:]]
    firings = [made]
    for _ in range(times):
        new = [world.shards(*([number] for number in ids)) for ids in groups_of(shards, old[1:])]
        if shards == "mixed":  # what a checkpoint held is listed again as it was, behind what was cut again
            new[1:] = made[1:]
        elif shards == "parts":  # the second shard of the first firing came too late for it
            new = [made[0][:1], world.shards([old[1][1]]), *made[1:]]
        firings.append(made if shards == "same" else new)
    return [Unbounded(world, each, start.lineage) for each in firings]


def live(life: Bounded | Unbounded) -> None:
    for bundle in life.bundles():
        until_done(bundle)


def check(world: World) -> None:
    life = Bounded if world.bounded else Unbounded
    committed = life.committed(world)
    assert world.listed(committed) == Counter(IDS)
    # what a reader of the record finds is the same, each shard by the manifest that lists it and its digest
    run = find_run(world.store, "run")
    rows = list(run.shards())
    assert Counter(number for row in rows for number in world.held[row.shard.url]) == Counter(IDS)
    assert {row.manifest for row in rows} == {manifest.key for manifest in run.manifests()} == set(committed)
    assert all(row.shard.sha256 == "ab" for row in rows), "read from a manifest and not from a list"
    for one in run.record.shard_lists:
        assert world.store.stat(one.key).sha256 == one.sha256


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
def test_a_store_without_conditions(bounded: bool, per: str, count: int, shards: str) -> None:
    """Done again, and slept through: but for what happens between its look and its write, all holds."""
    for step in itertools.count():
        world = World(per, count, bounded, kind=LooksFirst)
        first, second = lives(world, shards, 1)

        def sleep(world: World = world, second: Bounded | Unbounded = second) -> None:
            world.clock.now += ASLEEP
            live(second)

        slept = _interrupted(world, first, step, sleep)
        if not slept:
            live(second)
        check(world)
        if not slept:
            break


class Stop(Exception):
    """What ends a worker."""


@matrix
def test_begun_and_given_to_another_worker_at_any_step(bounded: bool, per: str, count: int, shards: str) -> None:
    """The first worker ends for good at each call to the store; the next one begins from the checkpoint."""
    for step in itertools.count():
        world = World(per, count, bounded)
        first, second = lives(world, shards, 1)
        ended = _interrupted(world, first, step, _die)
        live(second)
        check(world)
        if not ended:
            break
    assert step > 3


@matrix
def test_an_outdated_worker_that_wakes_at_any_step(bounded: bool, per: str, count: int, shards: str) -> None:
    """It sleeps before a call to the store, or after it; when it wakes, another has done all of its work from the checkpoint."""
    for step in itertools.count():
        world = World(per, count, bounded)
        first, second = lives(world, shards, 1)

        def sleep(world: World = world, second: Bounded | Unbounded = second) -> None:
            world.clock.now += ASLEEP
            live(second)

        slept = _interrupted(world, first, step, sleep)
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


def _die() -> None:
    raise Stop


def _interrupted(world: World, life: Bounded | Unbounded, step: int, what: Callable[[], None]) -> bool:
    """Let a life go on until its call number `step`, then do something else there; return whether it came to that.

    A worker that was interrupted does no other bundle, but ends the one that it has: it was cut off from its runner.
    """
    calls, happened = itertools.count(), False

    def hook(name: str, when: str) -> None:
        nonlocal happened
        if not happened and next(calls) == step:
            happened = True
            world.store.hook = lambda name, when: None
            what()

    for bundle in life.bundles():
        world.store.hook = hook
        with contextlib.suppress(Stop, OutdatedWorkError, S3BoxError):
            bundle()
        world.store.hook = lambda name, when: None
        if happened:
            return True
    return False


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


# ---------------------------------------------------------------- one rule each


def begun(world: World) -> Publisher:
    return Publisher.begin(world.store, world.claim)


def test_work_that_began_before_the_other_was_written_replaces_nothing() -> None:
    world = World("stream", 1, True)
    outdated = begun(world)
    [new], [old] = (plan_manifests(STREAM, "", 0, world.shards([0]), 1) for _ in range(2))
    begun(world).write(new)
    with pytest.raises(OutdatedWorkError, match=r"it may be outdated and replaces nothing; the runner retries it"):
        outdated.write(old)
    assert begun(world).write(old).key == outdated.key(new), "what began later replaces it"


def test_times_that_the_store_can_not_tell_apart_replace_nothing() -> None:
    """S3's times are whole seconds."""
    world = World("stream", 1, True)
    [new], [old] = (plan_manifests(STREAM, "", 0, world.shards([0]), 1) for _ in range(2))
    begun(world).write(new)
    now = world.clock.now

    class Coarse(MemoryStore):
        clock_resolution = 1.0

    coarse = Coarse(world.store.root.removeprefix("memory://"), lambda: now + 0.5)
    with pytest.raises(OutdatedWorkError):
        Publisher.begin(coarse, world.claim).write(old)


def test_nothing_is_replaced_for_a_run_that_another_execution_took_over() -> None:
    world = World("stream", 1, True)
    [new], [old] = (plan_manifests(STREAM, "", 0, world.shards([0]), 1) for _ in range(2))
    ours = begun(world)
    theirs = RunClaim(Layout("run"), "theirs")
    theirs.take(world.store)
    written = Publisher.begin(world.store, theirs).write(new)
    with pytest.raises(RunExistsError, match="another execution took it over"):
        ours.write(old)
    assert world.store.stat(written.key).sha256 == written.sha256


def test_a_failed_bundle_of_a_bounded_run_removes_nothing() -> None:
    """Another copy of the bundle has met what this one wrote, a moment ago, and relies on it."""
    world = World("stream", 3, True)
    plans = plan_manifests(STREAM, "", 0, world.shards([0], [1], [2]), 3)
    failing = FailingStore(world.store, "manifests/*", succeed=2, error=AccessError)
    with pytest.raises(AccessError, match="failed on purpose"):
        Publisher.begin(failing, world.claim).write_all(plans, OnThisThread())
    written = {info.key for info in world.store.list("manifests/")}
    assert len(written) == 2
    manifests = begun(world).write_all(plans, OnThisThread())
    again = FailingStore(world.store, "manifests/*", succeed=2, error=AccessError)
    with pytest.raises(AccessError, match="failed on purpose"):
        Publisher.begin(again, world.claim).write_all(plans, OnThisThread())
    assert {info.key for info in world.store.list("manifests/")} == {manifest.key for manifest in manifests} > written


def test_parts_that_are_no_longer_there_are_withdrawn() -> None:
    world = World("stream", 3, True)
    for groups in ([[0], [1], [2]], [[0, 1], [2]]):
        plans = plan_manifests(STREAM, "", 0, world.shards(*groups), 3)
        begun(world).write_all(plans, OnThisThread())
    assert [info.key for info in world.store.list("manifests/")] == [
        "manifests/run/web/clicks/00000.manifest",
        "manifests/run/web/clicks/00001.manifest",
    ]


def test_a_firing_that_is_only_retried_withdraws_nothing() -> None:
    world = World("stream", 1, False)
    life = Unbounded(world, [], Lineage())
    plans = [(f"w{number}", world.shards([number])) for number in range(3)]
    states = []
    for window, files in plans:
        states.append(life.lineage)
        life.fire(window, files)
    before = [(info.key, info.etag) for info in world.store.list("manifests/")]
    for (window, files), lineage in zip(reversed(plans), reversed(states), strict=True):
        Unbounded(world, [], lineage).fire(window, files)
    assert [(info.key, info.etag) for info in world.store.list("manifests/")] == before


@pytest.mark.parametrize("step", range(6))
def test_an_outdated_worker_replaces_no_manifest_that_the_live_one_found_as_it_is(step: int) -> None:
    """Three lives: the second one cuts otherwise and sleeps, the third finds what the first had written, and relies on it."""
    world = World("stream", 1, False)
    kept = [world.shards([0]), world.shards([1])]
    live(Unbounded(world, kept, Lineage()))
    outdated = Unbounded(world, [world.shards([0, 2])], Lineage())
    last = Unbounded(world, [*kept, world.shards([2])], Lineage())
    *found, new = last.bundles()

    def sleep() -> None:
        for bundle in found:
            world.clock.now += ASLEEP
            until_done(bundle)

    assert _interrupted(world, outdated, step, sleep)
    until_done(new)
    assert world.listed(last.committed(world)) == Counter([0, 1, 2])


def test_firings_of_other_streams_and_of_the_run_stay() -> None:
    world = World("stream", 1, False)
    other = dataclasses.replace(world.claim)
    for scope in (None, Stream("web", "other"), STREAM):
        for firing in range(3):
            [plan] = plan_manifests(scope, "w", 0, world.shards([firing]), 1, firing)
            Publisher.begin(world.store, other).write(plan)
    [again] = plan_manifests(STREAM, "w2", 0, world.shards([9]), 1, 0)
    begun(world).write(again)
    assert [info.key.removeprefix("manifests/run/") for info in world.store.list("manifests/")] == [
        *(f"0000000{number}-00000.manifest" for number in range(3)),
        "web/clicks/00000000-00000.manifest",
        *(f"web/other/0000000{number}-00000.manifest" for number in range(3)),
    ]


def test_a_quick_firing_asks_the_store_for_nothing_but_to_write() -> None:
    world = World("stream", 1, False)
    called = []
    world.store.hook = lambda name, when: called.append(name) if when == "before" else None
    life = Unbounded(world, [], Lineage())
    for number in range(3):
        life.fire("w", world.shards([number]))
    assert called == ["put", "put"] * 3, "the rows and the manifest"


@pytest.mark.parametrize("slow", [False, True])
def test_a_manifest_that_its_reader_removed_stops_no_stream(slow: bool) -> None:
    """Loaded and removed, or expired: the live worker goes on, also with a bundle that takes long."""
    world = World("stream", 1, False)
    life = Unbounded(world, [], Lineage())
    for number in range(3):
        files = world.shards([number])
        world.clock.now += ASLEEP

        def wait(name: str, when: str) -> None:
            world.clock.now += ASLEEP * slow

        world.store.hook = wait
        life.fire(f"w{number}", files)
        world.store.hook = lambda name, when: None
        listed = life.committed(world)
        assert world.listed(listed) == Counter([number])
        world.store.delete(*listed)


def test_an_outdated_worker_whose_last_firing_was_withdrawn_withdraws_its_next() -> None:
    """The live one is not as far yet: of the firing before nothing exists, as if somebody had removed it."""
    world = World("stream", 1, False)
    life = Unbounded(world, [], Lineage())
    life.fire("w0", world.shards([0]))
    checkpoint = life.lineage
    life.fire("w1", world.shards([1]))
    life.fire("w2", world.shards([2]))
    again = Unbounded(world, [], checkpoint)

    def live(name: str, when: str) -> None:
        world.store.hook = lambda name, when: None
        world.clock.now += ASLEEP
        again.fire("w1", world.shards([1, 2]))

    world.store.hook = live
    with pytest.raises(OutdatedWorkError, match="was rewritten or removed by other work"):
        life.fire("w3", world.shards([3]))
    assert world.listed(life.committed(world)) == Counter([0, 1, 2])
    again.fire("w3", world.shards([3]))
    assert world.listed(life.committed(world)) == Counter([0, 1, 2, 3])


def test_a_create_only_manifest_is_written_once() -> None:
    store = MemoryStore(new_token(12))
    world = World("stream", 1, True)
    [first], [second] = (plan_manifests(None, "", 0, world.shards([0]), 1) for _ in range(2))
    written = write_manifest(store, Layout("run"), first)
    assert write_manifest(store, Layout("run"), first) == written
    with pytest.raises(RunExistsError, match=r"run_id='run' already wrote manifests; use a new run_id"):
        write_manifest(store, Layout("run"), second)
    assert store.stat("manifests/run/00000.manifest").sha256 == written.sha256


def test_a_manifest_says_what_it_lists() -> None:
    world = World("stream", 2, True)
    plans = plan_manifests(STREAM, "w", 0, world.shards([0], [1], [2]), 2)
    first, second = (begun(world).write(plan) for plan in plans)
    assert (first.domain, first.namespace, first.window, first.pane) == ("web", "clicks", "w", 0)
    assert (first.shards, first.records, first.raw_bytes, first.object_bytes) == (2, 2, 20, 22)
    assert (first.key, second.shards) == ("manifests/run/web/clicks/w/00000.manifest", 1)
    assert first.url == world.store.url(first.key)
    assert world.store.stat(first.key).sha256 == first.sha256


def test_the_record_tells_which_manifests_count_even_where_others_lie_around() -> None:
    """An outdated worker may create one that nobody else made; it is void."""
    world = World("stream", 1, True)
    live(Bounded(world, world.shards(*([number] for number in IDS))))
    [stray] = plan_manifests(Stream("web", "stray"), "", 0, world.shards([0]), 1)
    begun(world).write(stray)
    assert len(list(world.store.list("manifests/"))) == 2
    check(world)


@pytest.mark.parametrize("count", [1, 3])
def test_a_run_without_the_right_to_list_needs_it_only_after_it_went_back(count: int) -> None:
    world = World("stream", count, False)

    class NoList(MemoryStore):
        def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
            raise AccessError("ListObjectsV2: 403")

    store = NoList(world.store.root.removeprefix("memory://"), world.clock)
    plans = plan_manifests(STREAM, "w", 0, world.shards([0], [1], [2]), count, 0)
    Publisher.begin(store, world.claim).write_firing(plans, Lineage())
    again = plan_manifests(STREAM, "w", 0, world.shards([0], [1], [2]), count, 0)
    with pytest.raises(AccessError, match="403"):
        Publisher.begin(store, world.claim).write_firing(again, Lineage())


def test_a_record_is_text_that_says_all_of_it() -> None:
    row = Manifest("web", "clicks", "w", 0, "s3://b/k", "k", 1, 2, 3, 4, "ab")
    record = RunRecord(run_id="r", attempt="a", bounded=True, began="now").finished(NOTHING, 1, [row], 0.0)
    assert RunRecord.parse("u", record.render()) == record
    assert record.ended == "1970-01-01T00:00:00Z"
