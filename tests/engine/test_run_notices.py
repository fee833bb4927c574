"""The mark to stop, and the signs of life that sources give on the way."""

from __future__ import annotations

import json
import pickle

import pytest

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.run_notices import STOP_SECONDS, Polled, RunNotices, ask_to_stop
from beam_s3box.errors import AccessError, RunExistsError
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class CountingStore(MemoryStore):
    """Counts what it is asked for."""

    def __init__(self, refuses: bool = False) -> None:
        super().__init__(new_token(8))
        self.asked: list[str] = []
        self._refuses = refuses

    def get(self, key: str) -> bytes:
        self.asked.append(key)
        if self._refuses:
            raise AccessError("403")
        return super().get(key)


@pytest.fixture
def layout() -> Layout:
    return Layout(f"r{new_token(6)}")


def test_the_mark_is_seen_within_seconds_and_asked_for_no_more_often(layout: Layout) -> None:
    store, clock = CountingStore(), Clock()
    polled = Polled(clock)
    assert not polled.is_stop_asked(store, layout)
    ask_to_stop(store, layout)
    assert not polled.is_stop_asked(store, layout)
    assert store.asked.count(layout.stop) == 1
    clock.now += STOP_SECONDS
    assert polled.is_stop_asked(store, layout)
    assert list(json.loads(store.get(layout.stop))) == ["asked"]


def test_sources_in_the_process_that_asks_know_at_once(layout: Layout) -> None:
    store = MemoryStore(new_token(8))
    notices = pickle.loads(pickle.dumps(RunNotices(store, layout)))
    assert not notices.is_stop_asked()
    ask_to_stop(store, layout)
    ask_to_stop(store, layout)
    assert notices.is_stop_asked()


def test_where_nobody_may_list_a_refusal_is_no_mark(layout: Layout) -> None:
    assert not Polled(Clock()).is_stop_asked(CountingStore(refuses=True), layout)


def test_signs_of_life_are_given_while_the_run_is_its_own(layout: Layout) -> None:
    store, clock = MemoryStore(new_token(8)), Clock()
    polled = Polled(clock)
    polled.is_stop_asked(store, layout)
    assert list(store.list(layout.alive_folder)) == [], "it has not begun"
    claim = RunClaim(layout, "attempt", bounded=False)
    claim.take(store)
    clock.now += STOP_SECONDS
    polled.is_stop_asked(store, layout)
    assert len(list(store.list(layout.alive_folder))) == 1
    claim.fail(store, "declared dead")
    clock.now += 1_000
    other = MemoryStore(new_token(8))  # signs are given once in a while by a process: as another one
    other_claim = RunClaim(layout, "other", bounded=False)
    other_claim.take(other)
    other_claim.fail(other, "declared dead")
    with pytest.raises(RunExistsError):
        Polled(clock).is_stop_asked(other, layout)
