"""What writes manifests: what it replaces, what it removes and what it leaves alone, one rule each."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.lineage import Lineage
from beam_s3box.engine.manifests import Manifest, plan_manifests
from beam_s3box.engine.publish import Publisher, write_manifest
from beam_s3box.engine.run_record import RunRecord
from beam_s3box.errors import AccessError, OutdatedWorkError, RunExistsError
from beam_s3box.records.streams import Stream
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import NOTHING
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import ObjectInfo
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.testing import FailingStore
from tests.engine.commit_world import (
    ASLEEP,
    IDS,
    STREAM,
    Bounded,
    OnThisThread,
    Unbounded,
    World,
    check,
    interrupted,
    live,
    until_done,
)


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


@pytest.mark.parametrize("bounded", [True, False])
def test_a_manifest_that_changed_since_it_was_looked_at_is_not_replaced(bounded: bool) -> None:
    """Another worker, whose work began later, replaces it right before this one does."""
    world = World("stream", 1, bounded)
    firing = None if bounded else 0
    [old], [ours], [theirs] = (plan_manifests(STREAM, "", 0, world.shards([0]), 1, firing) for _ in range(3))
    key = begun(world).write(old).key
    outdated, written = begun(world), []
    puts = itertools.count()

    def hook(name: str, when: str) -> None:
        # the first is refused, because there is one; an unbounded run marks the rollback with the next
        if (name, when) == ("put", "before") and next(puts) == (1 if bounded else 2):
            world.store.hook = lambda name, when: None
            written.append(begun(world).write(theirs))

    world.store.hook = hook
    with pytest.raises(OutdatedWorkError, match="it may be outdated and replaces nothing"):
        outdated.write(ours)
    assert world.store.stat(key).sha256 == written[0].sha256


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


@pytest.mark.parametrize("window", ["", "w"])
def test_parts_that_are_no_longer_there_are_withdrawn(window: str) -> None:
    """Those of other windows stay."""
    world = World("stream", 3, True)
    other = begun(world).write_all(plan_manifests(STREAM, "other", 0, world.shards([3], [4], [5]), 3), OnThisThread())
    for groups in ([[0], [1], [2]], [[0, 1], [2]]):
        plans = plan_manifests(STREAM, window, 0, world.shards(*groups), 3)
        manifests = begun(world).write_all(plans, OnThisThread())
    assert len(manifests) == 2
    assert {info.key for info in world.store.list("manifests/")} == {one.key for one in [*other, *manifests]}


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

    assert interrupted(world, outdated, step, sleep)
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


@pytest.fixture
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_new_york")
def test_the_rows_of_a_bundle_are_named_by_the_time_when_it_began() -> None:
    """So that their keys sort by time, wherever the worker is."""
    world = World("stream", 1, False)
    world.clock.now = 1_795_000_000.0
    Unbounded(world, [], Lineage()).fire("w", world.shards([0]))
    [rows] = world.store.list(world.claim.layout.firing_folder)
    assert rows.key.removeprefix(world.claim.layout.firing_folder).startswith("20261118T110641Z-")


def test_a_create_only_manifest_is_written_once() -> None:
    store = MemoryStore(new_token(12))
    world = World("stream", 1, True)
    [first], [second] = (plan_manifests(None, "", 0, world.shards([0]), 1) for _ in range(2))
    written = write_manifest(store, Layout("run"), first)
    assert write_manifest(store, Layout("run"), first) == written
    with pytest.raises(RunExistsError, match=r"run_id='run' already wrote manifests; use a new run_id"):
        write_manifest(store, Layout("run"), second)
    assert store.stat("manifests/run/00000.manifest").sha256 == written.sha256


def test_a_create_only_manifest_is_in_the_folder_of_what_it_lists() -> None:
    world = World("stream", 1, True)
    layout = Layout("run")
    for stream, window, firing in [(STREAM, "w", None), (STREAM, "", None), (None, "w", None), (STREAM, "", 3)]:
        [plan] = plan_manifests(stream, window, 0, world.shards([0]), 1, firing)
        assert write_manifest(world.store, layout, plan).key == layout.manifest(stream, window, 0, firing)


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
