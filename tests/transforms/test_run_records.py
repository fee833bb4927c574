"""What the record of a pipeline's run says is what is in the store: shards by digest, totals by stream, dead letters."""

from __future__ import annotations

import hashlib
import json
import pathlib
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import FixedWindows

import beam_s3box
from beam_s3box import DeadLettersError, Manifests, StreamLimits, WriteToS3Box
from beam_s3box.engine import signs_of_life
from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.run_reader import Run, find_run
from beam_s3box.errors import ObjectNotFoundError
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import Store, open_store
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.transforms import encode, runtime
from tests.readback import read_back, strict_gunzip
from tests.transforms.streams import Script
from tests.transforms.streams import write as scripted
from tests.transforms.writes import RUNNERS, records

SMALL = StreamLimits(max_records=40)
BAD = [b"{", b'{"d":"d0"}', b'{"d":"d0","n":"x","i":"a\\u0000b"}', b"["]


def write(store: Store, elements: list[Any], runner: str = "FnApiRunner", **arguments: Any) -> None:
    options = PipelineOptions([*RUNNERS[runner], "--job_name=nightly-load"])
    with beam.Pipeline(options=options) as pipeline:
        created = pipeline | beam.Create(elements) | "Shuffled" >> beam.Reshuffle()
        created | WriteToS3Box(store, domain_field="d", namespace_field="n", **{"limits": SMALL, **arguments})


def check(run: Run) -> None:
    """Compare the rows, the totals and the manifests of a run with the objects in the store."""
    store, record = run.store, run.record
    rows = list(run.shards())
    stored = {info.key: store.get(info.key) for info in store.list("data/")}
    assert sorted(row.shard.key for row in rows) == sorted(stored)
    for row in rows:
        body, shard = stored[row.shard.key], row.shard
        text = strict_gunzip(body)
        assert (shard.sha256, shard.object_bytes) == (hashlib.sha256(body).hexdigest(), len(body))
        assert (shard.raw_bytes, shard.url, shard.stored > 1e9) == (len(text), store.url(shard.key), True)
    listed = {manifest.key: json.loads(store.get(manifest.key)) for manifest in run.manifests()}
    by_manifest: dict[str, set[str]] = {}
    for row in rows:
        by_manifest.setdefault(row.manifest, set()).add(row.shard.url)
        if listed:
            assert row.manifest_sha256 == hashlib.sha256(store.get(row.manifest)).hexdigest()
            assert row.listed is not None
            assert row.listed >= row.shard.stored - 0.01
    if listed:
        assert by_manifest == {key: {entry["url"] for entry in text["entries"]} for key, text in listed.items()}
    if record.bounded:
        assert sum(totals.records for totals in record.streams) == record.size.records
        assert sum(totals.shards for totals in record.streams) == record.shards == len(rows)
        assert record.input is not None
        assert record.input.accepted == record.size.records
        assert record.input.rejected == sum(totals.rejected for totals in record.streams)
        for one in record.shard_lists:
            body = store.get(one.key)
            assert hashlib.sha256(body).hexdigest() == one.sha256
            assert len(strict_gunzip(body).splitlines()) == one.shards


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("per", ["stream", "run"])
def test_a_bounded_run(tmp_path: pathlib.Path, runner: str, per: Any) -> None:
    store = open_store(tmp_path / "box")
    elements = [*(json.dumps(record).encode() for record in records(1_000)), *BAD]
    write(store, elements, runner, manifests=Manifests(per, 2))
    run = find_run(store)
    check(run)
    record = run.record
    assert (record.kind, record.version, record.job_name) == ("transform", beam_s3box.__version__, "nightly-load")
    assert "Runner" in record.runner
    assert record.settings["domain_field"] == "d"
    by_name = {(totals.domain, totals.namespace): totals for totals in record.streams}
    assert by_name[("d0", "x")].records == 334
    assert by_name[("d0", "x")].dead_letters == {"nul-character": 1}
    assert by_name[(None, None)].rejected == 3
    assert sum(totals.manifests for totals in record.streams) >= (6 if per == "stream" else 3)
    assert record.input is not None
    assert {reason.reason: reason.records for reason in record.input.reasons}["nul-character"] == 1


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("count", [0, 300])
def test_a_run_without_manifests(tmp_path: pathlib.Path, runner: str, count: int) -> None:
    store = open_store(tmp_path / "box")
    write(store, records(count), runner, format="json-array")
    run = find_run(store)
    check(run)
    assert (run.record.state, run.record.manifests, run.record.size.records) == ("finished", (), count)
    assert len(run.record.streams) == (3 if count else 0)


def test_a_run_in_windows() -> None:
    store = MemoryStore(new_token(12))
    with beam.Pipeline() as pipeline:
        timed = [beam.window.TimestampedValue(record, record["i"]) for record in records(200)]
        created = pipeline | beam.Create(timed) | beam.Map(lambda value: value)
        (
            created
            | beam.WindowInto(FixedWindows(60))
            | WriteToS3Box(store, domain_field="d", namespace_field="n", limits=SMALL)
        )
    run = find_run(store)
    check(run)
    assert len({row.shard.window for row in run.shards()}) == 4


@pytest.mark.parametrize("limit", [None, 0])
def test_too_many_dead_letters_mark_the_run_as_failed(limit: int | None) -> None:
    store = MemoryStore(new_token(12))
    with pytest.raises(Exception, match="records are dead letters"):
        write(store, [b"{", b"["], max_dead_letters=limit)
    [info] = list(store.list("runs/"))
    record = find_run(store, info.key[5:-5]).record
    assert record.state == "failed"
    assert str(record.error).startswith(DeadLettersError.__name__)
    assert not list(store.list("manifests/"))


def test_who_finishes_again_says_the_reason_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process that does not know the run, as on Flink, which begins the last step again: the run is marked then."""
    store = MemoryStore(new_token(12))
    pipeline = beam.Pipeline(options=PipelineOptions(RUNNERS["FnApiRunner"]))
    write = WriteToS3Box(store, domain_field="d", namespace_field="n")
    pipeline | beam.Create([b"{", b"["]) | write
    for _ in range(2):
        with pytest.raises(Exception, match="2 of 2 records are dead letters"):
            pipeline.run().wait_until_finish()
        runtime._CLAIMED.clear()
        # the steps before are not done again
        monkeypatch.setattr(encode, "claim_at_begin", lambda *_: None)
    assert find_run(store, write.claim.layout.run_id).record.state == "failed"


def stream(store: Store, **arguments: Any) -> None:
    script = Script().wait(5)
    for minute in range(3):
        for name in "abc":
            script.add(*range(minute * 10, minute * 10 + 10), at=60 * minute + 1, stream=name)
        script.watermark(60 * minute + 60)
    scripted(script, store, **arguments)


@pytest.mark.parametrize("per", ["stream", "run"])
def test_an_unbounded_run(per: Any) -> None:
    store = MemoryStore(new_token(12))
    stream(store, run_id="live", manifests=Manifests(per))
    run = find_run(store, "live")
    check(run)
    manifests = list(run.manifests())
    assert sum(manifest.records for manifest in manifests) == 90
    assert len({manifest.window for manifest in manifests}) == 3
    assert {manifest.domain for manifest in manifests} == ({"a", "b", "c"} if per == "stream" else {None})
    assert {row.arrived for row in run.shards()} == {5.0}
    assert run.record.state == "running"
    assert signs_of_life.last_sign(store, run.layout) is not None
    assert len(read_back(store).manifests) == len(manifests)


def test_a_stream_that_was_declared_dead_lists_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore(new_token(12))
    shown = signs_of_life.show_life

    def dead_by_then(store: Store, claim: RunClaim) -> None:
        claim.fail(store, "no sign of life")
        shown(store, claim)

    monkeypatch.setattr("beam_s3box.transforms.manifests.show_life", dead_by_then)
    with pytest.raises(Exception, match="it was marked as failed"):
        stream(store, run_id="dead")
    assert not list(store.list("manifests/"))
    assert find_run(store, "dead").record.state == "failed"


def test_no_secret_is_in_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore(new_token(12))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2hunter2")
    options = PipelineOptions(["--s3_access_key_id=AKIAHUNTER", "--s3_secret_access_key=hunter2hunter2"])
    with beam.Pipeline(options=options) as pipeline:
        pipeline | beam.Create(records(3)) | WriteToS3Box(store, domain="hunter2hunter2", namespace="n")
    record = find_run(store).record
    assert "hunter2" not in repr((record.settings, record.input, record.job_name, record.runner))
    assert record.settings["domain"] == "***"


def test_the_sign_of_life_writes_a_lost_record_again() -> None:
    store = MemoryStore(new_token(12))
    claim = RunClaim(Layout("lost"), new_token(), bounded=False)
    with pytest.raises(ObjectNotFoundError):
        store.get(claim.layout.run)
    signs_of_life.show_life(store, claim)
    assert find_run(store, "lost").record.state == "running"
