"""What belongs to nobody is removed; what anybody lists, or may list, and what is not ours, stays."""

from __future__ import annotations

import itertools
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.engine.run_reader import find_run
from beam_s3box.errors import ConfigurationError, RunExistsError, S3BoxError
from beam_s3box.formats import JSON_ARRAY
from beam_s3box.runs.compact import Compaction
from beam_s3box.runs.gc.collector import MIN_SILENT_SECONDS
from beam_s3box.runs.gc.freed import Amount, Freed
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import LocalStore, MemoryStore
from tests.runs.garbage import DAY, Clock, abandoned, gc, keys, put
from tests.runs.made_runs import Made, Part, listing
from tests.runs.mortal_store import Dead, Mortal


def test_unlisted_shards_of_a_finished_run_go_when_they_are_old(store: MemoryStore, clock: Clock) -> None:
    made = Made(store, "run")
    lost = abandoned(store, made, 7, 8)
    made.finish([Part([[1], [2]])])
    assert gc(store).total == Amount()
    clock.pass_days(1.9)
    assert gc(store).total == Amount()
    clock.pass_days(0.2)
    size = len(store.get(lost))
    assert gc(store, is_dry=True).runs == {"run": {"unlisted shards": Amount(1, size)}}
    assert lost in keys(store)
    assert gc(store).runs == {"run": {"unlisted shards": Amount(1, size)}}
    assert lost not in keys(store)
    assert listing(store).all_ids == [1, 2]
    assert gc(store).total == Amount()


def test_a_dead_run_is_marked_before_anything_goes(store: MemoryStore, clock: Clock) -> None:
    made = Made(store, "run")
    abandoned(store, made, 1)
    clock.pass_days(3)
    freed = gc(store)
    assert freed.marked == {"run": "it has written nothing for so long"}
    assert freed.total.objects == 1
    assert find_run(store, "run").record.state == "failed"
    assert "garbage collection" in str(find_run(store, "run").record.error)
    # what wakes later can't finish
    with pytest.raises(RunExistsError, match=r"marked as failed by a garbage collection: it has written nothing"):
        made.finish([Part([[1]])])
    # and its id can be used again
    clock.now += 10
    Made(store, "run").finish([Part([[2]])])
    assert listing(store).all_ids == [2]


@pytest.mark.parametrize("bounded", [True, False])
def test_a_run_that_may_be_alive_stays_however_young_garbage_may_be(
    store: MemoryStore, clock: Clock, *, bounded: bool
) -> None:
    made = Made(store, "run", bounded=bounded)
    shard = abandoned(store, made, 1)
    done = Made(store, "done")
    lost = abandoned(store, done, 2)
    done.finish([Part([[3]])])
    clock.now += MIN_SILENT_SECONDS - 60
    freed = gc(store, older_than=0)
    assert not freed.marked
    assert list(freed.runs) == ["done"]
    assert shard in keys(store)
    assert lost not in keys(store)
    if bounded:
        clock.now += 120
        assert gc(store, older_than=0).marked.keys() == {"run"}
        assert shard not in keys(store)


def test_files_that_may_still_be_written_stay(tmp_path: pathlib.Path) -> None:
    store = LocalStore(tmp_path)
    put(store, "data/web/clicks/x", b"x")
    part = tmp_path / "data" / "web" / "clicks" / ".beam_s3box-0123456789ab.part"
    part.write_bytes(b"begun")
    os.utime(part, (time.time() - 60, time.time() - 60))
    gc(store, older_than=0)
    assert part.exists()
    gc(store, older_than=0, min_silent_seconds=10)
    assert not part.exists()


@pytest.mark.parametrize("what", ["data/", "manifests/", "dead-letters/", "record"])
def test_a_run_that_wrote_something_lately_is_alive(store: MemoryStore, clock: Clock, what: str) -> None:
    made = Made(store, "run")
    lost = abandoned(store, made, 1)
    clock.pass_days(3)
    if what == "data/":
        abandoned(store, made, 2)
    elif what == "manifests/":
        put(store, "manifests/run/web/clicks/00000.manifest")
    elif what == "dead-letters/":
        put(store, "dead-letters/run/0123456789ab-00000-0123456789ab.json.gz")
    else:
        Made(store, "run")  # taken over
    freed = gc(store)
    assert (freed.marked, freed.total) == ({}, Amount())
    assert lost in keys(store)


def test_a_run_that_finishes_while_it_is_judged_is_kept(clock: Clock) -> None:
    name = new_token(12)

    class Finishing(MemoryStore):
        def put(self, key: str, body: bytes, **arguments: Any) -> int:
            if key == "runs/run.json" and b'"failed"' in body and not finished:
                finished.append(True)
                made.finish([Part([[1]])])
            return super().put(key, body, **arguments)

    finished: list[bool] = []
    store = MemoryStore(name, clock)
    made = Made(store, "run")
    abandoned(store, made, 7)
    clock.pass_days(3)
    freed = gc(Finishing(name, clock))
    assert finished
    assert (freed.marked, freed.total) == ({}, Amount())
    assert listing(store).all_ids == [1]
    assert len(keys(store)) == 2


def test_a_run_that_is_taken_over_while_it_is_judged_is_kept(clock: Clock) -> None:
    name = new_token(12)

    class Taking(MemoryStore):
        def put(self, key: str, body: bytes, **arguments: Any) -> int:
            if key == "runs/run.json" and b'"failed"' in body and not taken:
                taken.append(Made(store, "run"))
            return super().put(key, body, **arguments)

    taken: list[Made] = []
    store = MemoryStore(name, clock)
    abandoned(store, Made(store, "run"), 7)
    clock.pass_days(3)
    assert gc(Taking(name, clock)).total == Amount()
    taken[0].finish([Part([[1]])])
    assert listing(store).all_ids == [1]


def test_of_a_failed_run_shards_manifests_and_lists_go(store: MemoryStore, clock: Clock) -> None:
    made = Made(store, "run")
    abandoned(store, made, 1)
    made.claim.fail(store, "no")
    put(store, "manifests/run/web/clicks/00000.manifest", b'{"entries": []}')
    put(store, Layout("run").shard_list("0" * 64))
    put(store, "dead-letters/run/0123456789ab-00000-0123456789ab.json.gz")
    clock.pass_days(3)
    kinds = gc(store).runs["run"]
    assert {kind: amount.objects for kind, amount in kinds.items()} == {
        "unlisted shards": 1,
        "manifests that do not count": 1,
        "lists that do not count": 1,
    }
    # the record says what happened, and dead letters are the user's
    assert keys(store, "") == ["dead-letters/run/0123456789ab-00000-0123456789ab.json.gz", "runs/run.json"]


def test_nothing_of_others_is_touched(store: MemoryStore, clock: Clock) -> None:
    Made(store, "run").claim.fail(store, "no")
    others = [
        "data/web/clicks/run-0123456789ab-00001-0123456789ab.json.gz.bak",
        "data/web/clicks/run-0123456789ab-00001-0123456789a.json.gz",
        "data/web/clicks/run-XYZ3456789ab-00001-0123456789ab.json.gz",
        "data/web/clicks/other-0123456789ab-00001-0123456789ab.json.gz",
        "data/web/run-0123456789ab-00001-0123456789ab.json.gz",
        "data/report.csv",
        "run-0123456789ab-00001-0123456789ab.json.gz",
        "other/web/clicks/run-0123456789ab-00001-0123456789ab.json.gz",
        "manifests/other/00000.manifest",
        "manifests/run.txt",
        "runs/notes.txt",
        "runs/other/stop",
        "runs/run/notes.txt",
        "notes/run.json",
    ]
    for key in others:
        put(store, key)
    ours = "data/web/clicks/run-0123456789ab-00001-0123456789ab.json.gz"
    put(store, ours)
    clock.pass_days(30)
    freed = gc(store)
    assert freed.total.objects == 1
    assert freed.unknown == Amount(6, 6)
    assert keys(store, "") == sorted([*others, "runs/run.json"])


def test_keys_of_templates_of_the_users_own(store: MemoryStore, clock: Clock) -> None:
    template = "lake/{domain}/{namespace}/{window}{digest}_{sequence}_{origin}_{run_id}{extension}"
    made = Made(store, "run", template=template)
    lost = abandoned(store, made, 7)
    made.finish([Part([[1], [2]])])
    put(store, "lake/web/clicks/notes.txt")
    clock.pass_days(3)
    assert gc(store).total.objects == 1
    assert lost not in keys(store, "lake/")
    assert listing(store).all_ids == [1, 2]
    assert "lake/web/clicks/notes.txt" in keys(store, "lake/")
    # also of its compactions
    first = Compaction(find_run(store, "run"), 95).compact()
    assert all(info.startswith("lake/") for info in listing(store).shards)
    clock.pass_days(3)
    assert gc(store).total.objects == 2
    Compaction(find_run(store, first.run_id)).compact()
    lost = abandoned(store, Made(store, "last", template=template), 9)
    clock.pass_days(3)
    assert gc(store).marked.keys() == {"last"}
    assert lost not in keys(store, "lake/")
    assert listing(store).all_ids == [1, 2]


def test_a_key_that_may_be_a_live_run_s_stays(store: MemoryStore, clock: Clock) -> None:
    template = "data/{domain}/{namespace}/{window}{run_id}-{sequence}-{origin}-{digest}{extension}"
    dead, live = Made(store, "run-1", template=template), Made(store, "run", template=template)
    dead.claim.fail(store, "no")
    # of the run `run`, with the number 1; or of `run-1`, without one
    shard = abandoned(store, live, 1)
    put(store, "data/web/clicks/run-1-1-0123456789ab-0123456789ab.json.gz")
    clock.pass_days(3)
    abandoned(store, live, 2)
    gc(store)
    assert shard in keys(store)


def test_a_dead_run_must_exist(store: MemoryStore) -> None:
    Made(store, "run")
    with pytest.raises(ConfigurationError, match="dead_run='rum' names no run"):
        gc(store, dead_runs=("rum",))


def test_shards_of_a_run_without_manifests_stay(store: MemoryStore, clock: Clock) -> None:
    made = Made(store, "run", format=JSON_ARRAY)
    made.finish([Part([[1], [2]])], manifests=False)
    clock.pass_days(3)
    assert gc(store).total == Amount()


def test_a_run_of_an_earlier_version_without_lists(store: MemoryStore, clock: Clock) -> None:
    made = Made(store, "run")
    abandoned(store, made, 7)
    made.finish([Part([[1], [2]])], lists=False)
    clock.pass_days(3)
    assert gc(store).runs["run"]["unlisted shards"].objects == 1
    assert listing(store).all_ids == [1, 2]


def test_an_object_that_is_no_record_is_left(store: MemoryStore, clock: Clock) -> None:
    put(store, "runs/strange.json", b"{}")
    put(store, "data/web/clicks/strange-0123456789ab-00001-0123456789ab.json.gz")
    clock.pass_days(3)
    freed = gc(store)
    assert (freed.total, freed.unknown.objects) == (Amount(), 1)
    assert "is not the record of a run" in freed.left["runs/strange.json"]


def test_files_that_a_killed_process_was_writing_go(tmp_path: pathlib.Path, clock: Clock) -> None:
    store = LocalStore(tmp_path, clock)
    made = Made(store, "run")
    made.finish([Part([[1], [2]])])
    shard = pathlib.Path(tmp_path, keys(store)[0])
    old, young = (shard.with_name(f".beam_s3box-{name}.part") for name in ("old", "young"))
    others = [shard.with_name(name) for name in (".beam_s3box-lock", "mine.part")]
    for path in (old, young, *others):
        path.write_bytes(b"half")
        os.utime(path, (clock.now - 3 * DAY, clock.now - 3 * DAY))
    os.utime(young, (clock.now, clock.now))
    assert old.name not in str(keys(store, ""))
    assert gc(store).runs == {"": {"unfinished uploads": Amount(1, 4)}}
    assert [path.exists() for path in (old, young, *others)] == [False, True, True, True]
    assert listing(store).all_ids == [1, 2]


def test_two_at_once_and_again(store: MemoryStore, clock: Clock) -> None:
    from tests.redshift.load.conftest import together

    made = Made(store, "run")
    for number in range(50):
        abandoned(store, made, number)
    made.finish([Part([[1], [2]])])
    clock.pass_days(3)
    results = together(*[lambda: gc(store)] * 4)
    assert not [each for each in results if not isinstance(each, Freed)]
    assert gc(store).total == Amount()
    assert len(keys(store)) == 2


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_each_request(clock: Clock, after: bool, note: Callable[[str], None]) -> None:
    for calls in itertools.count(1):
        clock.now += 1000 * DAY
        store = MemoryStore(new_token(12), clock)
        done, dead, live = Made(store, "done"), Made(store, "dead"), Made(store, "live", bounded=False)
        abandoned(store, done, 7)
        abandoned(store, dead, 8)
        done.finish([Part([[1], [2]])])
        live.fire(Part([[3], [4]]))
        Compaction(find_run(store, "done")).compact()
        clock.pass_days(3)
        put(store, Layout("live").alive("0123456789ab"))
        try:
            gc(Mortal(store, calls, after=after))
        except (Dead, S3BoxError):
            assert listing(store).all_ids == [1, 2, 3, 4]
        else:
            break
        gc(store)
        assert listing(store).all_ids == [1, 2, 3, 4]
        assert len(keys(store)) == 3
    assert calls > 20
    note(f"{calls} requests")


def test_a_key_takes_eight_bytes_and_is_found() -> None:
    from beam_s3box.runs.gc.key_set import KeySet

    found = KeySet()
    for number in range(20_000):
        found.add(f"data/{number}")
    assert all(f"data/{number}" in found for number in range(0, 20_000, 7))
    assert not any(f"other/{number}" in found for number in range(1000))
    assert len(found) == 20_000
    assert found._digests.itemsize == 8
    found.add("later")
    assert "later" in found


def test_many_keys_are_looked_at_in_little_memory(clock: Clock) -> None:
    import tracemalloc
    from collections.abc import Iterator

    from beam_s3box.stores import ObjectInfo

    many = 200_000

    class Large(MemoryStore):
        def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
            yield from super().list(prefix)
            if prefix == "data/":
                for number in range(many):
                    key = f"data/web/clicks/run-{number:012x}-00001-0123456789ab.json.gz"
                    yield ObjectInfo(key, 1, None, clock.now - 3 * DAY, "e")

        def delete(self, key: str, *, if_match: str | None = None) -> None:
            deleted[0] += 1

    deleted = [0]
    store = Large(new_token(12), clock)
    Made(store, "run").claim.fail(store, "no")
    tracemalloc.start()
    freed = gc(store)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert freed.total.objects == deleted[0] == many
    # at most so many batches wait to be deleted, however many keys there are
    assert peak < 25_000_000
