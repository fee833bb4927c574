"""Small shards become few: each record is listed once, in its order, whatever happens on the way."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.engine.run_reader import find_run
from beam_s3box.engine.run_record import RunRecord
from beam_s3box.errors import ConfigurationError, RunExistsError, S3BoxError
from beam_s3box.formats import JSON_ARRAY, JSON_LINES, AvroFormat, Format
from beam_s3box.runs.compact import Compacted
from beam_s3box.shards.runs import new_token
from beam_s3box.sizes import MiB
from beam_s3box.stores import LocalStore, MemoryStore, S3Settings, S3Store, Store
from tests.runs.compacting import compact, memory
from tests.runs.made_runs import VIEWS, Made, Part, ids_of, listing
from tests.runs.mortal_store import Dead, Mortal
from tools.seaweedfs import REGION, Server

AVRO = AvroFormat({"type": "record", "name": "Click", "fields": [{"name": "id", "type": "long"}]})


@pytest.fixture(params=["memory", "local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Store:
    if request.param == "memory":
        return MemoryStore(new_token(12))
    if request.param == "local":
        return LocalStore(tmp_path)
    return s3(request.getfixturevalue("s3_server"))


def s3(server: Server) -> S3Store:
    return S3Store(f"s3://{server.bucket}/{new_token(12)}", S3Settings(REGION, server.endpoint_url), server.admin)


def record_of(store: Store, run_id: str) -> RunRecord:
    return find_run(store, run_id).record


@pytest.mark.parametrize("format", [JSON_LINES, AVRO], ids=lambda format: format.name)
def test_many_shards_become_few_in_their_order(store: Store, format: Format) -> None:
    made = Made(store, "run", format=format)
    made.finish([Part([[1, 2], [3], [4]]), Part([[5], [6, 7]], VIEWS)])
    before = listing(store)
    done = compact(store)
    after = listing(store)
    assert (done.manifests_before, done.manifests, done.shards_before, done.shards) == (2, 2, 5, 2)
    assert done.object_bytes < done.object_bytes_before
    assert after.ids == {
        f"manifests/{done.run_id}/web/clicks/00000.manifest": [1, 2, 3, 4],
        f"manifests/{done.run_id}/web/views/00000.manifest": [5, 6, 7],
    }
    assert list(before.ids.values()) == list(after.ids.values())
    record = record_of(store, done.run_id)
    assert (record.kind, record.parent, record.state, record.shards, record.size.records) == (
        "compact",
        "run",
        "finished",
        2,
        7,
    )
    assert record.input is not None
    assert record.input.accepted == 7


def test_what_a_manifest_replaces_is_in_it(store: Store) -> None:
    written = Made(store, "run").finish([Part([[1], [2]])])
    done = compact(store)
    [manifest] = find_run(store, done.run_id).manifests()
    text = json.loads(store.get(manifest.key))
    assert text["replaces"] == [{"url": written[0].url, "sha256": written[0].sha256, "records": 2}]
    assert hashlib.sha256(store.get(written[0].key)).hexdigest() == written[0].sha256


def test_the_lists_of_a_compaction_are_those_of_every_run(store: Store) -> None:
    Made(store, "run").finish([Part([[1], [2, 3]])])
    run = find_run(store, compact(store).run_id)
    [listed] = run.shards()
    body = store.get(listed.shard.key)
    info = store.stat(listed.shard.key)
    assert (listed.shard.object_bytes, listed.shard.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert (listed.shard.records, listed.shard.raw_bytes) == (3, len(b'{"id": 1}\n') * 3)
    assert info.sha256 == listed.shard.sha256
    assert listed.shard.key.endswith(f"-{listed.shard.sha256[:12]}.json.gz")
    assert [listed.manifest] == [manifest.key for manifest in run.manifests()]


def test_arrays_are_joined_by_their_joints(store: Store) -> None:
    Made(store, "run", format=JSON_ARRAY).finish([Part([[1], [2, 3], [4]])], manifests=False)
    done = compact(store)
    [listed] = find_run(store, done.run_id).shards()
    assert ids_of(store.get(listed.shard.key)) == [1, 2, 3, 4]
    assert (done.shards_before, done.shards, done.manifests) == (3, 1, 0)
    assert compact(store).run_id == ""


def test_a_second_time_there_is_nothing_to_do(store: Store) -> None:
    Made(store, "run").finish([Part([[1], [2]])])
    compact(store)
    before = [info.key for info in store.list()]
    assert compact(store).run_id == ""
    assert compact(store, max_object_bytes=10 * MiB).run_id == ""
    assert [info.key for info in store.list()] == before


def test_a_live_stream_is_compacted_as_it_goes(store: Store) -> None:
    made = Made(store, "run", bounded=False)
    done = []
    for number in range(6):
        made.fire(Part([[2 * number], [2 * number + 1]]))
        if number % 2:
            done.append(compact(store, settled_seconds=-60.0))
    assert [each.manifests_before for each in done] == [2, 2, 2]
    assert [each.shards for each in done] == [1, 1, 1]
    assert listing(store).all_ids == list(range(12))


def test_a_compaction_can_be_compacted(store: Store) -> None:
    made = Made(store, "run", bounded=False)
    runs = []
    for number in range(4):
        made.fire(Part([[2 * number], [2 * number + 1]]))
        runs.append(compact(store, settled_seconds=-60.0).run_id)
    made = Made(store, "other")
    made.finish([Part([[100], [101]]), Part([[102], [103]])])
    first = compact(store, "other", max_object_bytes=95)
    assert first.shards == 2
    second = compact(store, first.run_id)
    assert (second.shards_before, second.shards) == (2, 1)
    assert second.parent == first.run_id
    ids = listing(store).all_ids
    assert ids == [*range(8), 100, 101, 102, 103]


@pytest.mark.parametrize("state", ["running", "failed"])
def test_a_run_that_has_not_finished_is_refused(state: str) -> None:
    store = memory()
    made = Made(store, "run")
    if state == "failed":
        made.claim.fail(store, "no")
    with pytest.raises(ConfigurationError, match=f"it is {state} and not finished"):
        compact(store)


def test_of_an_earlier_version_without_lists(store: Store) -> None:
    Made(store, "run").finish([Part([[1], [2, 3]])], lists=False)
    done = compact(store)
    [listed] = find_run(store, done.run_id).shards()
    assert (listed.shard.records, listed.shard.raw_bytes) == (3, len(b'{"id": 1}\n') * 3)
    assert listing(store).all_ids == [1, 2, 3]


def replace(store: Store, key: str, body: bytes) -> None:
    store.put(key, body, sha256=hashlib.sha256(body).hexdigest(), content_type="application/gzip", replace=True)


@pytest.mark.parametrize("lists", [True, False])
@pytest.mark.parametrize("damage", ["other", "twice", "cut off", "gone"])
def test_damage_is_found_and_nothing_counts(store: Store, damage: str, lists: bool) -> None:
    Made(store, "run").finish([Part([[1], [2], [3]])], lists=lists)
    ours, other = listing(store).shards[:2]
    body = store.get(ours)
    if damage == "gone":
        store.delete(ours)
    else:
        replace(store, ours, {"other": store.get(other), "twice": body + body, "cut off": body[:-3]}[damage])
    with pytest.raises(S3BoxError, match=r"is not the shard that the run has listed|does not exist|no such"):
        compact(store)
    assert record_of(store, "run").state == "finished"
    replace(store, ours, body)
    compact(store)
    assert listing(store).all_ids == [1, 2, 3]


def test_gzip_of_others_is_refused(store: Store) -> None:
    import gzip

    Made(store, "run").finish([Part([[1], [2]])], lists=False)
    ours = listing(store).shards[0]
    foreign = gzip.compress(b'{"id": 1}\n') + gzip.compress(b'{"id": 7}\n')
    name = ours.rpartition("-")[0] + f"-{hashlib.sha256(foreign).hexdigest()[:12]}.json.gz"
    replace(store, name, foreign)
    key = "manifests/run/web/clicks/00000.manifest"
    text = json.loads(store.get(key))
    text["entries"][0] = {"url": store.url(name), "meta": {"content_length": len(foreign), "record_count": 2}}
    body = json.dumps(text).encode()
    replace(store, key, body)
    record = record_of(store, "run")
    [manifest] = record.manifests
    changed = manifest._replace(sha256=hashlib.sha256(body).hexdigest(), records=3)
    replace(store, "runs/run.json", dataclasses.replace(record, manifests=(changed,)).render())
    with pytest.raises(S3BoxError, match="is not a shard as this package writes it"):
        compact(store)
    assert record_of(store, "run").manifests == (changed,)


def test_avro_with_other_headers_is_refused() -> None:
    store = memory()
    first = Made(store, "run", bounded=False, format=AVRO)
    first.fire(Part([[1]]))
    other = AvroFormat({"type": "record", "name": "Click", "fields": [{"name": "id", "type": "int"}]})
    second = Made.__new__(Made)
    vars(second).update(vars(Made(memory(), "run", bounded=False, format=other)), store=store, claim=first.claim)
    second._uploader._store = store
    second._lineages = first._lineages
    second.fire(Part([[2]]))
    with pytest.raises(S3BoxError, match="their headers differ"):
        compact(store, settled_seconds=0.0)


def test_a_firing_that_is_written_again_meanwhile_ends_the_compaction() -> None:
    store = memory()
    made = Made(store, "run", bounded=False)
    manifest = made.fire(Part([[1], [2]]))

    class Rewriting(MemoryStore):
        def put(self, key: str, body: bytes, **arguments: Any) -> int:
            if key.startswith("manifests/compact"):
                replace(store, manifest.key, store.get(manifest.key) + b"\n")
            return super().put(key, body, **arguments)

    rewriting = Rewriting(store.root.removeprefix("memory://"))
    with pytest.raises(S3BoxError, match="was written again or removed while the run was compacted"):
        compact(rewriting, settled_seconds=0.0)
    # what is written now is another text, and another compaction
    done = compact(store, settled_seconds=0.0)
    assert done.shards == 1
    assert listing(store).all_ids == [1, 2]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("bounded", [True, False], ids=["bounded", "unbounded"])
def test_killed_at_each_request_and_repeated(bounded: bool, after: bool, note: Callable[[str], None]) -> None:
    for calls in itertools.count(1):
        store = memory()
        made = Made(store, "run", bounded=bounded)
        parts = [Part([[1, 2], [3], [4]]), Part([[5], [6]], VIEWS)]
        if bounded:
            made.finish(parts)
        else:
            for part in parts:
                made.fire(part)
        try:
            compact(Mortal(store, calls, after=after), settled_seconds=-60.0)
        except (Dead, S3BoxError):
            assert listing(store).all_ids == [1, 2, 3, 4, 5, 6]
        else:
            break
        done = compact(store, settled_seconds=-60.0)
        assert done.shards in (0, 2)
        found = listing(store)
        assert list(found.ids.values()) == [[1, 2, 3, 4], [5, 6]]
        assert len(found.shards) == 2
    assert calls > 20
    note(f"{calls} requests")


def test_two_at_the_same_time_are_one(s3_server: Server) -> None:
    from tests.redshift.load.conftest import together

    store = s3(s3_server)
    Made(store, "run").finish([Part([[number] for number in range(10)])])
    results = together(*[lambda: compact(store)] * 4)
    assert not [each for each in results if not isinstance(each, Compacted | RunExistsError)]
    assert any(isinstance(each, Compacted) for each in results)
    compact(store)
    assert listing(store).ids == {
        key: list(range(10)) for key in listing(store).ids if key.startswith("manifests/compact-")
    }
    assert len(listing(store).shards) == 1


def test_large_bodies_are_copied_by_the_server(s3_server: Server) -> None:
    from tools.s3_faults import watched

    store = s3(s3_server)
    made = Made(store, "run", bounded=False)
    part = Part([[1]])
    files = [
        made.shard(part, [number], size) for number, size in enumerate([1000, 14 * MiB, 14 * MiB, 100, 12 * MiB, 2000])
    ]
    made.fire(part, files)
    with watched(store.client) as wire:
        done = compact(store, settled_seconds=-60.0)
    assert "UploadPartCopy" in wire.sent
    sent = sum(
        int(request.headers.get("Content-Length", 0)) for request in wire.requests if request.method in ("PUT", "POST")
    )
    assert sent < 3 * 5 * MiB + 100_000
    assert done.shards == 1
    assert list(listing(store).ids.values()) == [[0, 1, 2, 3, 4, 5]]
    [listed] = find_run(store, done.run_id).shards()
    assert hashlib.sha256(store.get(listed.shard.key)).hexdigest() == listed.shard.sha256
