"""What a compaction has replaced is removed after a grace time; what it kept stays."""

from __future__ import annotations

import pytest

from beam_s3box.engine.run_reader import find_run
from beam_s3box.formats import JSON_ARRAY
from beam_s3box.runs.compact import Compaction
from beam_s3box.runs.gc.freed import Amount
from beam_s3box.stores import MemoryStore
from tests.runs.garbage import Clock, gc, keys
from tests.runs.made_runs import VIEWS, Made, Part, listing


def test_replaced_shards_go_after_a_grace_time(store: MemoryStore, clock: Clock) -> None:
    Made(store, "run").finish([Part([[1], [2]]), Part([[3]], VIEWS)])
    clock.pass_days(30)
    Compaction(find_run(store, "run")).compact()
    before = listing(store)
    assert gc(store).total == Amount()
    clock.pass_days(2.1)
    freed = gc(store)
    assert freed.runs == {"run": {"replaced shards": freed.total}}
    assert freed.total.objects == 2
    assert listing(store) == before
    assert before.all_ids == [1, 2, 3]
    assert gc(store).total == Amount()


@pytest.mark.parametrize("manifests", [True, False])
def test_verify_says_where_the_shards_of_a_compacted_run_are(
    store: MemoryStore, clock: Clock, *, manifests: bool
) -> None:
    from beam_s3box.runs.verify.run_check import Checker

    # the shard of `views` is alone, and stays as it is
    Made(store, "run").finish([Part([[1], [2]]), Part([[3]], VIEWS)], manifests=manifests)
    done = Compaction(find_run(store, "run")).compact()
    assert not Checker().run(find_run(store, "run")).problems
    clock.pass_days(3)
    gc(store)
    verified = Checker().run(find_run(store, "run"))
    assert not verified.problems
    [what] = verified.unchecked
    assert f"replaced by run {done.run_id}" in what
    assert "verify or load that run" in what
    found = Checker().run(find_run(store, done.run_id))
    assert (found.problems.first, found.unchecked) == ([], [])
    if manifests:  # what else is missing is wrong
        [kept] = keys(store, "data/web/views/")
        store.delete(kept)
        assert [problem.url for problem in Checker().run(find_run(store, "run")).problems.first] == [store.url(kept)]


def test_a_shard_that_a_compaction_kept_as_it_was_stays(store: MemoryStore, clock: Clock) -> None:
    Made(store, "run").finish([Part([list(range(100, 200)), [1], [2]])])
    Compaction(find_run(store, "run"), 200).compact()
    clock.pass_days(3)
    assert gc(store).total.objects == 2
    assert listing(store).all_ids == [1, 2, *range(100, 200)]


def test_a_compaction_of_a_compaction_frees_both(store: MemoryStore, clock: Clock) -> None:
    Made(store, "run").finish([Part([[1], [2]]), Part([[3], [4]])])
    first = Compaction(find_run(store, "run"), 95).compact()
    Compaction(find_run(store, first.run_id)).compact()
    clock.pass_days(3)
    gc(store)
    assert len(keys(store)) == 1
    assert listing(store).all_ids == [1, 2, 3, 4]


def test_arrays_that_were_joined_go(store: MemoryStore, clock: Clock) -> None:
    made = Made(store, "run", format=JSON_ARRAY)
    made.finish([Part([[1], [2]])], manifests=False)
    done = Compaction(find_run(store, "run")).compact()
    clock.pass_days(3)
    assert gc(store).total.objects == 2
    assert keys(store) == [row.shard.key for row in find_run(store, done.run_id).shards()]
