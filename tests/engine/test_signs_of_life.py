"""Signs of life: one now and then, as long as the run is the process's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from beam_s3box.engine import signs_of_life
from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.signs_of_life import CHECK_SECONDS, last_sign, show_life
from beam_s3box.errors import RunExistsError
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.runs import new_token
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.system.outside import Outside, replaced

LAYOUT = Layout("run")


class Time(Outside):
    def __init__(self) -> None:
        self.now = 50.0

    def steady_seconds(self) -> float:
        return self.now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Time]:
    monkeypatch.setattr(signs_of_life, "_SHOWN", {})
    time = Time()
    with replaced(time):
        yield time


@pytest.fixture
def store(time: Time) -> MemoryStore:
    return MemoryStore(new_token(12), time)


def begun(store: MemoryStore, *, bounded: bool = False) -> RunClaim:
    claim = RunClaim(LAYOUT, "attempt", bounded=bounded)
    claim.take(store)
    return claim


def test_a_process_gives_a_sign_every_two_minutes_and_always_the_same_one(store: MemoryStore, time: Time) -> None:
    claim = begun(store)
    assert last_sign(store, LAYOUT) is None
    begin = time.now
    signs = []
    for _ in range(12):
        show_life(store, claim)
        signs.append(last_sign(store, LAYOUT))
        time.now += CHECK_SECONDS / 4
    seen = [begin + CHECK_SECONDS * (number // 4) for number in range(12)]
    assert signs == seen
    assert len(list(store.list(LAYOUT.alive_folder))) == 1


def test_each_run_of_a_process_has_signs_of_its_own(store: MemoryStore, time: Time) -> None:
    show_life(store, begun(store))
    other = RunClaim(Layout("other"), "attempt", bounded=False)
    other.take(store)
    show_life(store, other)
    assert last_sign(store, other.layout) == time.now


def test_a_bounded_run_needs_none(store: MemoryStore) -> None:
    show_life(store, begun(store, bounded=True))
    assert last_sign(store, LAYOUT) is None


def test_a_run_that_was_declared_dead_is_noticed_at_the_next_look(store: MemoryStore, time: Time) -> None:
    claim = begun(store)
    show_life(store, claim)
    claim.fail(store, "no sign of life")
    time.now += CHECK_SECONDS - 1
    show_life(store, claim)
    time.now += 1
    for _ in range(2):
        with pytest.raises(RunExistsError):
            show_life(store, claim)
    assert last_sign(store, LAYOUT) == 50.0


def test_a_record_that_a_rule_of_the_bucket_removed_is_written_again(store: MemoryStore, time: Time) -> None:
    claim = begun(store)
    store.delete(LAYOUT.run)
    show_life(store, claim)
    assert claim.check_held(store).state == "running"
