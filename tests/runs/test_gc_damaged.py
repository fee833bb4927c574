"""A garbage collection where something that runs have written is damaged, gone or not to be read: only these are left."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box import Manifests
from beam_s3box.engine.run_reader import find_run
from beam_s3box.errors import AccessError, ObjectArchivedError, StoreError, TransientStoreError
from beam_s3box.runs.compact import Compaction
from beam_s3box.runs.gc.collector import Collector
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore, ObjectInfo
from beam_s3box.streamer import JsonBufferStreamer, StoreUploader
from tests.runs.garbage import Clock, abandoned, gc, keys, put
from tests.runs.made_runs import Made, Part
from tests.streamer.life import drop
from tests.streamer.test_manifest_journal import REDSHIFT, fill


class Withholding(MemoryStore):
    """A store that does not give some objects."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(new_token(12), clock)
        self.withheld: dict[str, StoreError] = {}

    def read(self, key: str) -> tuple[bytes, ObjectInfo]:
        self._check(key)
        return super().read(key)

    def get(self, key: str) -> bytes:
        self._check(key)
        return super().get(key)

    def _check(self, key: str) -> None:
        for part, error in self.withheld.items():
            if part in key:
                raise error


@pytest.fixture
def store(clock: Clock) -> Withholding:
    return Withholding(clock)


def with_garbage(store: Any, run_id: str) -> str:
    """Write a finished run, and return the key of a shard that it does not list."""
    made = Made(store, run_id)
    lost = abandoned(store, made, 9)
    made.finish([Part([[1], [2]])])
    return lost


def remove(store: Withholding, key: str) -> None:
    store.delete(key)


def damage(store: Withholding, key: str) -> None:
    put_over(store, key, b"no gzip")


def withhold(store: Withholding, key: str) -> None:
    store.withheld[key] = AccessError("403")


def put_over(store: Withholding, key: str, body: bytes) -> None:
    store.put(key, body, sha256="", content_type="", replace=True)


@pytest.mark.parametrize("how", [remove, damage, withhold])
def test_a_run_whose_list_can_not_be_read_is_left(
    store: Withholding, clock: Clock, how: Callable[[Withholding, str], None]
) -> None:
    kept, gone = with_garbage(store, "day1"), with_garbage(store, "day2")
    [where] = keys(store, "runs/day1/shards-")
    clock.pass_days(3)
    how(store, where)
    before = {key for key in keys(store) if "day1" in key}
    freed = gc(store)
    assert list(freed.left) == ["day1"]
    assert freed.left["day1"]
    assert freed.runs.keys() == {"day2"}
    assert before <= set(keys(store))
    assert kept in before
    assert gone not in keys(store)


@pytest.mark.parametrize("error", [AccessError("403"), ObjectArchivedError("archived"), StoreError("SSE-C")])
def test_a_run_whose_record_can_not_be_read_is_left(store: Withholding, clock: Clock, error: StoreError) -> None:
    kept, gone = with_garbage(store, "day1"), with_garbage(store, "day2")
    clock.pass_days(3)
    store.withheld["runs/day1.json"] = error
    freed = gc(store)
    assert freed.left == {"day1": str(error)}
    assert kept in keys(store)
    assert gone not in keys(store)


def test_a_store_that_fails_ends_it(store: Withholding, clock: Clock) -> None:
    kept = with_garbage(store, "day1")
    clock.pass_days(3)
    for part in ("runs/day1.json", "runs/day1/shards-"):
        store.withheld = {part: TransientStoreError("503")}
        with pytest.raises(TransientStoreError):
            gc(store)
    assert kept in keys(store)


def test_a_key_that_may_be_of_a_run_that_can_not_be_read_stays(store: Withholding, clock: Clock) -> None:
    template = "data/{domain}/{namespace}/{window}{run_id}{sequence:d}-{origin}-{digest}{extension}"
    Made(store, "run1", template=template).claim.fail(store, "no")
    Made(store, "run", template=template)
    # of the run `run`, with the number 12; or of `run1`, with the number 2
    shard = "data/web/clicks/run12-0123456789ab-0123456789ab.json.gz"
    put(store, shard)
    clock.pass_days(3)
    store.withheld["runs/run.json"] = AccessError("403")
    gc(store)
    assert shard in keys(store)


@pytest.mark.parametrize("manifests", [True, False])
def test_a_compaction_that_is_damaged_replaces_nothing(store: Withholding, clock: Clock, *, manifests: bool) -> None:
    Made(store, "run").finish([Part([[1], [2]])], manifests=manifests)
    done = Compaction(find_run(store, "run")).compact()
    before = {key for key in keys(store) if "run" in key}
    clock.pass_days(3)
    [where] = keys(store, f"manifests/{done.run_id}/" if manifests else f"runs/{done.run_id}/shards-")
    text = store.get(where)
    store.delete(where)
    freed = gc(store)
    assert done.run_id in freed.left
    assert before <= set(keys(store))
    put(store, where, text)
    assert gc(store).total.objects == len(before), "and as soon as it is whole again, it does"


@pytest.mark.parametrize("part", ["runs/{}.json", "runs/{}/"])
def test_what_a_streamer_left_stays_where_the_next_one_can_not_be_read(
    store: Withholding, clock: Clock, tmp_path: pathlib.Path, part: str
) -> None:
    def begin() -> JsonBufferStreamer:
        return JsonBufferStreamer(
            StoreUploader(store), tmp_path / "b", scheduler_interval=0, manifests=Manifests(), **REDSHIFT
        )

    first = begin()
    fill(first, 0)
    drop(first)
    second = begin()
    fill(second, 40)
    second.write_manifests()
    assert second.shut_down() == ()
    before = keys(store)
    runs = {key.split("/")[1].removesuffix(".json") for key in keys(store, "runs/")}
    assert len(runs) == 2
    [new] = {key.split("/")[1] for key in keys(store, "manifests/")}
    [old] = runs - {new}
    clock.pass_days(3)
    store.withheld[part.format(new)] = AccessError("403")
    for _ in range(2):
        freed = Collector(store, dead_runs=(old,), fence_seconds=0).collect()
        assert new in freed.left
        clock.pass_days(3)
    assert keys(store) == before
