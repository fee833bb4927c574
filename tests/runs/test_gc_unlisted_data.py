"""Shards that no list names, of runs whose records do not name all of their data: a garbage collection leaves them."""

from __future__ import annotations

import pytest

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.run_record import RunOrigin
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import Size
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from tests.runs.garbage import Clock, gc, keys, put
from tests.runs.made_runs import Made, Part

UNLISTED = {
    "a box that was only sealed": (RunOrigin(kind="S3Box"), True),
    "a stream without manifests": (RunOrigin(kind="transform"), False),
    "a stream of an earlier version": (RunOrigin(), False),
    "a run of an earlier version": (RunOrigin(), True),
}


@pytest.mark.parametrize("how", ["running", "failed", "finished"])
@pytest.mark.parametrize(("origin", "bounded"), UNLISTED.values(), ids=UNLISTED)
def test_data_that_no_list_names_stays(origin: RunOrigin, bounded: bool, how: str) -> None:
    """Its record does not say which of its shards count, so all may."""
    clock = Clock()
    store = MemoryStore(new_token(12), clock)
    made = Made(store, "run", bounded=bounded)
    claim = RunClaim(Layout("data"), new_token(), bounded=bounded, origin=origin)
    claim.take(store)
    key = made.shard(Part([]), (1, 2)).key.replace("run-", "data-")
    put(store, key)
    if how == "failed" and not bounded:
        claim.fail(store, "broken")
    elif how == "finished" and not bounded:
        claim.end(store)
    elif how == "finished" and not origin.kind:
        claim.finish(store, [], Size(1, 1, 2), 1)
    for dead in ((), ("data",)):
        clock.pass_days(3)
        freed = gc(store, dead_runs=dead)
        assert key in keys(store)
        assert "does not name all of its data" in freed.left["data"]
