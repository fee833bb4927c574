"""What a pipeline says of itself besides what it writes: how fresh listed data is, and how long the store made it wait."""

from __future__ import annotations

import pytest

from beam_s3box.engine.lineage import Lineage
from beam_s3box.engine.manifests import plan_manifests
from beam_s3box.metrics import MemoryMetrics
from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import ShardFile
from beam_s3box.shards.runs import new_token
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.stores.retries import Waited
from beam_s3box.system.outside import Outside, replaced
from beam_s3box.transforms.manifests import _WriteFirings
from beam_s3box.transforms.upload import UploadShards
from tests.transforms.plans import write_plan


class AtThisTime(Outside):
    def wall_seconds(self) -> float:
        return 1_000.0


def shard(number: int, arrived: float) -> ShardFile:
    url = f"memory://m/data/{number}"
    return ShardFile("d", "n", "", url, f"data/{number}", 1, 1, 1, "ab", "records", arrived=arrived)


def test_freshness_is_from_the_first_record_to_the_manifest() -> None:
    write = _WriteFirings(write_plan(MemoryStore(new_token(12)), unbounded=True))
    counts = write._counts = MemoryMetrics()  # type: ignore[assignment]
    files = [shard(1, 997.5), shard(2, 999.0), shard(3, 0.0)]
    write._firings = {("d", "n"): [(b"", plan_manifests(Stream("d", "n"), "", 0, files, 1, firing=0), Lineage())]}
    with replaced(AtThisTime()):
        write._measure_freshness()
    assert counts.totals() == {"freshness_milliseconds": 2_500 + 1_000}


def test_waits_for_the_store_are_reported_as_dataflow_knows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = Waited()  # that of the process counts what threads of other tests still wait for
    monkeypatch.setattr("beam_s3box.transforms.upload.WAITED", waited)
    upload = UploadShards(write_plan(MemoryStore(new_token(12))))
    upload.setup()
    counts = upload._counts = MemoryMetrics()  # type: ignore[assignment]
    upload.start_bundle()
    waited.add(1.4)
    waited.add(1.4)
    assert list(upload.finish_bundle()) == []
    assert counts.totals() == {"cumulativeThrottlingSeconds": 2}
