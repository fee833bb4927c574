"""Runs are read back: by name, the newest, from lists and from manifests, bounded and unbounded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.input_totals import InputTotals
from beam_s3box.engine.lineage import Lineage
from beam_s3box.engine.manifests import Manifest, ManifestPlan, plan_manifests
from beam_s3box.engine.publish import Publisher
from beam_s3box.engine.run_reader import find_run, list_runs, run_of_url
from beam_s3box.engine.run_record import NO_DETAIL, RunDetail, RunRecord
from beam_s3box.engine.run_totals import StreamTotals
from beam_s3box.engine.shard_lists import read_shards, segment_of, write_firings, write_shard_list
from beam_s3box.engine.shard_rows import ShardListWriter, listed_shard, rows_of
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.records.streams import Stream
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import Segment, ShardFile, size_of
from beam_s3box.shards.runs import new_token
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.system.threads import Threads

STREAM = Stream("d", "n")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(new_token(12))


def file(store: MemoryStore, name: str, stream: Stream = STREAM, window: str = "") -> ShardFile:
    key = f"data/{stream.domain}/{stream.namespace}/{name}.json.gz"
    return ShardFile(
        *stream, window, store.url(key), key, 2, 30, 20, hashlib.sha256(name.encode()).hexdigest(), "records", 1.5, 2.5
    )


def segment(manifest: Manifest, files: Sequence[ShardFile]) -> Segment:
    return segment_of(listed_shard(one, manifest, 3.5) for one in files)


def put_record(store: MemoryStore, record: RunRecord) -> None:
    body = record.render()
    key = Layout(record.run_id).run
    store.put(key, body, sha256=hashlib.sha256(body).hexdigest(), content_type="application/json", replace=True)


def finished(store: MemoryStore, run_id: str, files: Sequence[ShardFile], *, lists: bool = True) -> list[Manifest]:
    claim = RunClaim(Layout(run_id), new_token())
    claim.take(store)
    plans = plan_manifests(STREAM, "", 0, files, 2)
    manifests = Publisher.begin(store, claim).write_all(plans, Threads(2, "test"))
    writer = ShardListWriter(store, claim.layout, 3)
    for rows in rows_of([(manifest, plan.files) for plan, manifest in zip(plans, manifests, strict=True)], 3.5, 2):
        for _ in range(2):
            writer.add(rows)
    detail = writer.finish(InputTotals(accepted=2 * len(files))) if lists else NO_DETAIL
    claim.finish(store, manifests, size_of(files), len(files), detail)
    return manifests


def test_a_finished_run_is_read_from_its_lists(store: MemoryStore) -> None:
    files = [file(store, f"{number}") for number in range(7)]
    manifests = finished(store, "run", files)
    run = find_run(store, "run")
    assert list(run.manifests()) == manifests
    found = list(run.shards())
    assert sorted(listed.shard for listed in found) == sorted(files)
    assert {listed.manifest for listed in found} == {manifest.key for manifest in manifests}
    assert {(listed.arrived, listed.stored, listed.listed) for listed in found} == {(1.5, 2.5, 3.5)}
    assert len(run.record.shard_lists) > 2
    assert run.record.streams == (
        StreamTotals(domain="d", namespace="n", records=14, shards=7, raw_bytes=210, object_bytes=140, manifests=2),
    )


def test_without_lists_the_manifests_are_read(store: MemoryStore) -> None:
    files = [file(store, f"{number}") for number in range(7)]
    finished(store, "run", files, lists=False)
    found = sorted(listed.shard for listed in find_run(store, "run").shards())
    assert found == sorted(one._replace(sha256="", raw_bytes=0, sealed_by="", arrived=0.0, stored=0.0) for one in files)


def test_rows_that_were_delivered_twice_count_once(store: MemoryStore) -> None:
    files = [file(store, f"{number}") for number in range(3)]
    [plan] = plan_manifests(STREAM, "", 0, files, 1)
    claim = RunClaim(Layout("run"), "a")
    claim.take(store)
    manifest = Publisher.begin(store, claim).write(plan)
    other = manifest._replace(sha256="0" * 64)
    twice = [segment(manifest, files), segment(other, files), segment(manifest, files[:2])]
    claim.finish(store, [manifest], size_of(files), 3, RunDetail((write_shard_list(store, claim.layout, twice),)))
    assert [listed.shard for listed in find_run(store).shards()] == files


def test_a_list_that_was_changed_is_named(store: MemoryStore) -> None:
    finished(store, "run", [file(store, "a")])
    [one] = find_run(store, "run").record.shard_lists
    store.put(one.key, b"other", sha256=hashlib.sha256(b"other").hexdigest(), content_type="", replace=True)
    with pytest.raises(S3BoxError, match=r"shards-.* does not have the SHA-256 .* it was damaged"):
        list(find_run(store, "run").shards())
    with pytest.raises(S3BoxError, match="is not a list of shards"):
        list(read_shards(store, one.key))


def firing(
    store: MemoryStore, claim: RunClaim, number: int, files: Sequence[ShardFile]
) -> tuple[ManifestPlan, Manifest]:
    [plan] = Lineage(number, "", "").number(plan_manifests(STREAM, files[0].window, 0, files, 1))
    return plan, Publisher.begin(store, claim).write(plan)


def test_an_unbounded_run_is_read_from_the_rows_of_manifests_in_the_store(store: MemoryStore) -> None:
    claim = RunClaim(Layout("run"), "a", bounded=False)
    claim.take(store)
    first, second, unlisted = ([file(store, f"{name}{number}") for number in range(2)] for name in "abc")
    plan, listed = firing(store, claim, 0, first)
    write_firings(store, claim.layout, "20261122T101500Z", [segment(listed, plan.files)])
    again = write_firings(store, claim.layout, "20261122T101600Z", [segment(listed, plan.files)])
    replaced = listed._replace(key=listed.key.replace("00000000-", "00000002-"), sha256="0" * 64)
    write_firings(store, claim.layout, "20261122T101700Z", [segment(replaced, unlisted)])
    _, bare = firing(store, claim, 1, second)
    run = find_run(store, "run")
    assert list(run.manifests()) == [listed, bare._replace(raw_bytes=0)]
    found = [row.shard for row in run.shards()]
    assert found == [
        *plan.files,
        *(one._replace(sha256="", raw_bytes=0, sealed_by="", arrived=0.0, stored=0.0) for one in second),
    ]
    assert again.startswith("runs/run/firings/20261122T101600Z-")


def test_runs_are_listed_newest_first(store: MemoryStore) -> None:
    for number, run_id in enumerate(("b", "a", "c")):
        record = RunRecord(run_id=run_id, attempt="x", bounded=True, began=f"2026-11-22T10:15:0{number}Z")
        put_record(store, record)
    store.put("runs/a/x/summary.json", b"1", sha256="", content_type="")
    assert [run.run_id for run in list_runs(store)] == ["c", "a", "b"]
    assert [run.run_id for run in list_runs(store, 2)] == ["c", "a"]


def test_a_run_is_found(store: MemoryStore) -> None:
    with pytest.raises(ConfigurationError, match=r"no run below memory://.*: give run_id, or another destination"):
        find_run(store)
    RunClaim(Layout("begun"), "a").take(store)
    with pytest.raises(ConfigurationError, match=r"none of the 1 runs below .* has finished, which has begun: give"):
        find_run(store)
    finished(store, "nightly-1", [file(store, "a")])
    finished(store, "nightly-2", [file(store, "b")])
    RunClaim(Layout("later"), "a").take(store)
    assert find_run(store).run_id == "nightly-2"
    assert find_run(store, "nightly-1").run_id == "nightly-1"
    other = MemoryStore(new_token(12))
    for run_id in ("nightly-2", "nightly-3", "nightly-1"):
        finished(other, run_id, [file(other, "a")])
    assert find_run(other).run_id == "nightly-1", "by time, and not by name"
    with pytest.raises(
        ConfigurationError,
        match=r"run_id='nightly-3' names no run below .*, which has later, nightly-2, nightly-1, begun; did you mean",
    ):
        find_run(store, "nightly-3")
    with pytest.raises(ConfigurationError, match="run_id="):
        find_run(store, "../x")


def test_the_url_of_a_record_names_destination_and_run() -> None:
    assert run_of_url("s3://bucket/prefix/runs/a.b.json") == ("s3://bucket/prefix", "a.b")
    assert run_of_url("out/runs/a.json") == ("out", "a")
    assert run_of_url("s3://bucket/prefix") == ("s3://bucket/prefix", None)
    assert run_of_url("s3://bucket/runs/a/shards-0.json.gz") == ("s3://bucket/runs/a/shards-0.json.gz", None)
