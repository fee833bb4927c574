"""Garbage of streams: what a live one may still list stays; a dead one is marked first, and what it left goes later."""

from __future__ import annotations

import pytest

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.run_notices import ask_to_stop
from beam_s3box.engine.run_reader import find_run
from beam_s3box.engine.run_record import RunOrigin
from beam_s3box.engine.signs_of_life import FENCE_SECONDS
from beam_s3box.errors import RunExistsError
from beam_s3box.records.streams import Stream
from beam_s3box.runs.compact import Compaction
from beam_s3box.runs.gc.freed import Amount
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from tests.runs.garbage import Clock, abandoned, gc, keys, put
from tests.runs.made_runs import Made, Part, listing


def stream(store: MemoryStore, *, sign: bool = True) -> Made:
    made = Made(store, "run", bounded=False)
    made.fire(Part([[1], [2]]))
    if sign:
        put(store, Layout("run").alive("0123456789ab"))
    return made


def test_what_a_live_stream_has_not_listed_stays(store: MemoryStore, clock: Clock) -> None:
    made = stream(store)
    lost = abandoned(store, made, 7)
    clock.pass_days(30)
    put(store, Layout("run").alive("fedcba987654"))
    assert gc(store).total == Amount()
    assert lost in keys(store)


def test_a_dead_stream_is_marked_first_and_freed_later(store: MemoryStore, clock: Clock) -> None:
    made = stream(store)
    put(store, Layout("run").rollback(Stream("web", "clicks")))
    lost = abandoned(store, made, 7)
    clock.pass_days(3)
    freed = gc(store)
    assert freed.marked == {"run": "no sign of life for so long"}
    assert (freed.total, lost in keys(store)) == (Amount(), True)
    with pytest.raises(RunExistsError):
        made.claim.check_held(store)
    clock.now += FENCE_SECONDS - 5
    assert gc(store).total == Amount()
    clock.now += 10
    freed = gc(store)
    assert {kind: amount.objects for kind, amount in freed.runs["run"].items()} == {"unlisted shards": 1, "marks": 2}
    assert listing(store).all_ids == [1, 2]


def test_a_stream_without_signs_of_life_is_left_unless_it_is_named(store: MemoryStore, clock: Clock) -> None:
    made = stream(store, sign=False)
    lost = abandoned(store, made, 7)
    clock.pass_days(3)
    freed = gc(store)
    assert freed.left == {"run": "it is unbounded, says `running`, and gives no signs of life"}
    assert (freed.marked, find_run(store, "run").record.state) == ({}, "running")
    assert gc(store, dead_runs=("run",)).marked == {"run": "named as dead"}
    clock.now += FENCE_SECONDS + 5
    assert gc(store).total.objects == 1
    assert lost not in keys(store)
    assert listing(store).all_ids == [1, 2]


def test_a_streamer_s_files_stay(store: MemoryStore, clock: Clock) -> None:
    origin = RunOrigin(kind="JsonBufferStreamer")
    claim = RunClaim(Layout("life"), new_token(), bounded=False, origin=origin)
    claim.take(store)
    made = Made.__new__(Made)
    vars(made).update(vars(Made(store, "other", bounded=False)), claim=claim)
    made._uploader._layout = claim.layout
    lost = abandoned(store, made, 1)
    claim.fail(store, "it ended without an orderly shut-down")
    clock.pass_days(3)
    freed = gc(store)
    assert freed.total == Amount()
    assert "may still list its files" in freed.left["life"]
    assert gc(store, dead_runs=("life",)).total.objects == 1
    assert lost not in keys(store)


def test_marks_of_runs_that_are_over_go(store: MemoryStore, clock: Clock) -> None:
    made = stream(store)
    ask_to_stop(store, made.claim.layout)
    put(store, ".beam_s3box-write-check")
    put(store, ".beam_s3box-doctor/20261122T101500Z-01234567/000-object")
    put(store, ".beam_s3box-write-check.txt")
    made.claim.fail(store, "no")
    clock.pass_days(3)
    freed = gc(store)
    assert freed.runs["run"]["marks"].objects == 2
    assert freed.runs[""]["marks"].objects == 2
    assert keys(store, ".beam") == [".beam_s3box-write-check.txt"]
    assert keys(store, "runs/run/")[0].startswith("runs/run/firings/")
    assert len(keys(store, "runs/run/")) == 1


def test_replaced_shards_of_a_live_stream_go_and_no_others(store: MemoryStore, clock: Clock) -> None:
    made = stream(store)
    lost = abandoned(store, made, 7)
    Compaction(find_run(store, "run"), settled_seconds=-1.0).compact()
    made.fire(Part([[3], [4]]))
    clock.pass_days(3)
    put(store, Layout("run").alive("fedcba987654"))
    freed = gc(store)
    assert freed.runs == {"run": {"replaced shards": freed.total}}
    assert freed.total.objects == 2
    assert lost in keys(store)
    assert listing(store).all_ids == [1, 2, 3, 4]
