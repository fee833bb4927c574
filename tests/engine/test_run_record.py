"""The text of a run's record: what is written is read, and so are records of earlier and later versions."""

from __future__ import annotations

import dataclasses

import orjson
import pytest

from beam_s3box.engine.input_totals import DeadLetterReason
from beam_s3box.engine.manifests import Manifest
from beam_s3box.engine.run_record import RunRecord
from beam_s3box.engine.run_totals import RunInput, StreamTotals
from beam_s3box.engine.shard_lists import ShardList
from beam_s3box.errors import ConfigurationError
from beam_s3box.shards.model import NOTHING, Size

MANIFEST = Manifest(
    "d", "n", "", 0, "memory://x/manifests/r/d/n/00000.manifest", "manifests/r/d/n/00000.manifest", 1, 2, 3, 4, "ab"
)
FULL = RunRecord(
    run_id="r",
    attempt="a",
    bounded=True,
    state="finished",
    began="2026-11-22T10:15:00Z",
    ended="2026-11-22T10:16:00Z",
    superseded=("b",),
    size=Size(1, 2, 3),
    shards=4,
    manifests=(MANIFEST,),
    shard_lists=(ShardList("runs/r/shards-ab.json.gz", "ab", 4),),
    streams=(StreamTotals(domain=None, namespace="n", records=3, dead_letters={"not-json": 2}),),
    input=RunInput(
        accepted=3,
        rejected=2,
        files=1,
        bytes=100,
        reasons=(DeadLetterReason("not-json", 2, "detail", "", "x.jsonl", 7, None, "{"),),
        bad_files=(("y.jsonl", 2),),
        positions={"topic/0": [0, 5]},
    ),
    kind="backfill",
    version="1.0",
    runner="FlinkRunner",
    job_name="nightly",
    settings={"format": "json-lines"},
    parent="before",
)
OLD = {
    "run_id": "r",
    "attempt": "a",
    "bounded": True,
    "state": "finished",
    "began": "2026-11-22T10:15:00Z",
    "ended": "2026-11-22T10:16:00Z",
    "superseded": [],
    "error": None,
    "size": {"object_bytes": 4, "raw_bytes": 3, "records": 2},
    "shards": 1,
    "manifests": [MANIFEST._asdict()],
}
"""What earlier versions wrote."""


@pytest.mark.parametrize("record", [FULL, RunRecord(run_id="r", attempt="a", bounded=False)], ids=["full", "begun"])
def test_what_is_written_is_read(record: RunRecord) -> None:
    assert RunRecord.parse("", record.render()) == record


def test_a_record_of_an_earlier_version_is_read() -> None:
    record = RunRecord.parse("", orjson.dumps(OLD))
    assert (record.manifests, record.shards, record.kind) == ((MANIFEST,), 1, "")
    assert (record.shard_lists, record.streams, record.input, record.settings) == ((), (), None, {})


def test_what_a_later_version_adds_is_ignored() -> None:
    values = orjson.loads(FULL.render())
    values["later"] = values["input"]["later"] = values["streams"][0]["later"] = 1
    assert RunRecord.parse("", orjson.dumps(values)) == FULL


@pytest.mark.parametrize("missing", ["run_id", "attempt", "bounded", "superseded", "size", "manifests"])
def test_what_is_no_record_is_refused(missing: str) -> None:
    values = orjson.loads(FULL.render())
    del values[missing]
    with pytest.raises(ConfigurationError, match=r"s3://b/runs/r.json is not the record of a run.*another program"):
        RunRecord.parse("s3://b/runs/r.json", orjson.dumps(values))


LISTS_ITS_SHARDS = [
    FULL,
    dataclasses.replace(FULL, manifests=()),
    dataclasses.replace(FULL, kind="S3Box"),
    dataclasses.replace(FULL, state="failed", manifests=(), shard_lists=()),
    dataclasses.replace(FULL, shards=0, manifests=(), shard_lists=()),
    RunRecord(run_id="r", attempt="a", bounded=True, kind="pack"),
    RunRecord(run_id="r", attempt="a", bounded=False, kind="stream", settings={"manifest_scope": "stream"}),
    RunRecord.parse("", orjson.dumps(OLD)),
]
MAY_NOT = [
    dataclasses.replace(FULL, kind="JsonBufferStreamer"),
    RunRecord(run_id="r", attempt="a", bounded=True, kind="S3Box"),
    RunRecord(run_id="r", attempt="a", bounded=False, kind="transform"),
    RunRecord(run_id="r", attempt="a", bounded=False, state="failed", kind="stream"),
    RunRecord(run_id="r", attempt="a", bounded=True),
    RunRecord(run_id="r", attempt="a", bounded=False, state="finished"),
    dataclasses.replace(RunRecord.parse("", orjson.dumps(OLD)), manifests=()),
]


def test_whether_all_that_counts_is_listed() -> None:
    """Who removes what nobody lists asks this first."""
    assert [record.may_have_unlisted_data for record in LISTS_ITS_SHARDS] == [False] * len(LISTS_ITS_SHARDS)
    assert [record.may_have_unlisted_data for record in MAY_NOT] == [True] * len(MAY_NOT)


def test_totals_of_a_stream_are_added() -> None:
    one = FULL.streams[0]
    both = one.plus(dataclasses.replace(one, dead_letters={"not-json": 1, "too-large": 4}, shards=5))
    assert (both.records, both.shards, both.rejected, both.dead_letters) == (6, 5, 7, {"not-json": 3, "too-large": 4})
    assert Size(both.raw_bytes, both.object_bytes, both.manifests) == NOTHING
