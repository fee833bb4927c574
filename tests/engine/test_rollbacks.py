"""The mark of a rollback: what it says, and whom it stops."""

from __future__ import annotations

from collections import Counter

import pytest

from beam_s3box.engine.lineage import Lineage
from beam_s3box.engine.manifests import ManifestPlan, plan_manifests
from beam_s3box.engine.publish import Publisher
from beam_s3box.engine.rollbacks import last_rollback, mark_rollback
from beam_s3box.errors import AccessError, ObjectNotFoundError, OutdatedWorkError
from beam_s3box.shards.keys import Layout
from beam_s3box.stores import ObjectInfo
from beam_s3box.system.outside import Outside, replaced
from tests.engine.commit_world import ASLEEP, STREAM, Calls, Unbounded, World


def test_it_says_what_is_replaced_by_what_and_when() -> None:
    world = World("stream", 1, False)
    layout = Layout("run")
    assert last_rollback(world.store, layout, STREAM) is None
    [plan] = Lineage(3).number(plan_manifests(STREAM, "w", 0, world.shards([0]), 1))
    world.clock.now += 100.0
    mark_rollback(world.store, layout, plan, 0.0)
    written = Publisher.begin(world.store, world.claim).write(plan)
    found = last_rollback(world.store, layout, STREAM)
    assert found is not None
    assert (found.firing, found.sha256) == (3, written.sha256)
    assert found.modified == world.store.stat("runs/run/rollbacks/web/clicks/last").modified
    assert last_rollback(world.store, layout, None) is None, "of the run as a whole there is none"


def test_each_mark_has_a_text_of_its_own() -> None:
    """A store may keep the time of equal bytes, and the time is what tells."""
    world = World("run", 1, False)
    [plan] = Lineage().number(plan_manifests(None, "w", 0, world.shards([0]), 1))
    etags = set()
    for began in (1.0, 2.0):
        mark_rollback(world.store, Layout("run"), plan, began)
        etags.add(world.store.stat("runs/run/rollbacks/last").etag)
    assert len(etags) == 2


class Hurry(Outside):
    def sleep(self, seconds: float) -> None:
        raise AssertionError("waited")


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("per", ["stream", "run"])
def test_a_slow_worker_does_not_wait_for_its_own_rollback(per: str, count: int) -> None:
    """Nor by that of the bundle before, whose mark may be from the second in which this one began."""
    world = World(per, count, False)
    first = Unbounded(world, [], Lineage())
    for number in range(4):
        first.fire(f"w{number}", world.shards([2 * number], [2 * number + 1]))
    again = Unbounded(world, [], Lineage())
    for number in range(4):
        world.clock.now += ASLEEP * (number == 0)
        files = world.shards([2 * number, 2 * number + 1])
        left = [ASLEEP]

        def wait(name: str, when: str, left: list[float] = left) -> None:
            if when == "after" and left:  # in each bundle, at its first call
                world.clock.now += left.pop()

        world.store.hook = wait
        with replaced(Hurry()):
            again.fire(f"w{number}", files)
        world.store.hook = lambda name, when: None
    assert last_rollback(world.store, Layout("run"), world.scope) is not None
    assert world.listed(again.committed(world)) == Counter(range(8))


class Hidden(Calls):
    """S3 without s3:ListBucket: of an object that does not exist it says 403."""

    def read(self, key: str) -> tuple[bytes, ObjectInfo]:
        try:
            return super().read(key)
        except ObjectNotFoundError:
            raise AccessError("GetObject: 403") from None


def test_a_slow_worker_without_the_right_to_list_finds_no_mark() -> None:
    world = World("stream", 1, False, kind=Hidden)
    life = Unbounded(world, [], Lineage())

    def wait(name: str, when: str) -> None:
        world.clock.now += ASLEEP

    world.store.hook = wait
    for number in range(2):
        life.fire("w", world.shards([number]))
    world.store.hook = lambda name, when: None
    assert world.listed(life.committed(world)) == Counter([0, 1])


class Patience(Outside):
    """Counts what is waited."""

    def __init__(self, world: World) -> None:
        self.waited = 0.0
        self._world = world

    def sleep(self, seconds: float) -> None:
        self.waited += seconds
        self._world.clock.now += seconds


@pytest.mark.parametrize("marked", [0, 1, 2])
def test_a_mark_alone_removes_nothing(marked: int) -> None:
    """Whoever wrote it may be outdated himself, and never come to replace anything: the worker waits, and goes on."""
    world = World("stream", 1, False)
    life = Unbounded(world, [], Lineage())
    states = []
    for number in range(3):
        states.append(life.lineage)
        files = world.shards([number])
        if number == 2:
            [plan] = states[marked].number(plan_manifests(STREAM, "w", 0, world.shards([7]), 1))
            if marked == 0:
                world.store.delete(life.lineage.key)  # as a rollback does that is not at its end
            left = [plan]

            def mark(name: str, when: str, left: list[ManifestPlan] = left) -> None:
                if left:
                    world.clock.now += ASLEEP
                    mark_rollback(world.store, Layout("run"), left.pop(), 0.0)

            world.store.hook = mark
        patience = Patience(world)
        with replaced(patience):
            life.fire("w", files)
        world.store.hook = lambda name, when: None
        assert patience.waited == (30.0 if number == 2 else 0.0)
    assert world.listed(life.committed(world)) == Counter([0, 2] if marked == 0 else [0, 1, 2])


@pytest.mark.parametrize("case", ["older", "of a later firing", "of one long before that stands"])
def test_a_mark_that_does_not_concern_a_firing_holds_nothing_up(case: str) -> None:
    world = World("stream", 1, False)
    life = Unbounded(world, [], Lineage())
    for number in range(2):
        life.fire("w", world.shards([number]))
    marked = {"older": 2, "of a later firing": 3, "of one long before that stands": 0}[case]
    [plan] = plan_manifests(STREAM, "w", 0, world.shards([7]), 1)
    other = plan._replace(firing=marked, lineage="ab" * 32)
    if case == "older":
        mark_rollback(world.store, Layout("run"), other, 0.0)
    world.clock.now += ASLEEP
    left = [other]

    def mark(name: str, when: str) -> None:
        if left:
            one = left.pop()
            world.clock.now += ASLEEP
            if case != "older":
                mark_rollback(world.store, Layout("run"), one, 0.0)

    files = world.shards([2])
    world.store.hook = mark
    with replaced(Hurry()):
        life.fire("w", files)
    world.store.hook = lambda name, when: None
    assert world.listed(life.committed(world)) == Counter([0, 1, 2])


def test_a_rollback_removes_nothing_that_was_replaced_since_it_looked() -> None:
    """A worker is outdated itself, and stops between its look and the removal of a later firing."""
    world = World("stream", 1, False)
    first = Unbounded(world, [], Lineage())
    first.fire("w0", world.shards([0]))
    first.fire("w1", world.shards([1]))
    world.clock.now += ASLEEP
    outdated, live = (Unbounded(world, [], Lineage()) for _ in range(2))
    happened: list[str] = []

    def hook(name: str, when: str) -> None:
        if (name, when) == ("delete", "before") and not happened:
            happened.append(name)
            world.clock.now += ASLEEP
            live.fire("w0", world.shards([0]))
            live.fire("w1", world.shards([1]))

    files = world.shards([0])
    world.store.hook = hook
    with pytest.raises(OutdatedWorkError):
        outdated.fire("w0", files)
    world.store.hook = lambda name, when: None
    assert happened
    assert world.listed(live.committed(world)) == Counter([0, 1])


def test_an_outdated_worker_removes_nothing_that_was_replaced_since_it_looked() -> None:
    """It finds that it is outdated, and stops between its look at its own manifest and the removal of that."""
    world = World("stream", 1, False)
    first = Unbounded(world, [], Lineage())
    first.fire("w0", world.shards([0]))
    live = Unbounded(world, [], Lineage())
    happened: list[str] = []

    def hook(name: str, when: str) -> None:
        if when == "before" and name in ("put", "delete") and name not in happened:
            happened.append(name)
            world.store.hook = lambda name, when: None
            world.clock.now += ASLEEP
            live.fire(name, world.shards([0, 2] if name == "put" else [3]))
            world.store.hook = hook

    files = world.shards([1])
    world.store.hook = hook
    with pytest.raises(OutdatedWorkError, match="was rewritten or removed by other work"):
        Publisher.begin(world.store, world.claim).write_firing(
            first.lineage.number(plan_manifests(STREAM, "w1", 0, files, 1)), first.lineage
        )
    world.store.hook = lambda name, when: None
    assert happened == ["put", "delete"]
    assert world.listed(live.committed(world)) == Counter([0, 2, 3])
