"""The backfill, as its command line starts it, on real engines."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

from tests.readback import read_back
from tests.runners.engines import Engine
from tests.runners.feed import ROOT
from tests.runners.test_streams import fresh_store, s3_arguments
from tools.seaweedfs import Server


@pytest.mark.parametrize("count", [0, 7, 100_000])
def test_every_record_is_in_one_listed_shard(
    count: int, engine: Engine, s3_server: Server, tmp_path: pathlib.Path
) -> None:
    store, source = fresh_store(s3_server), tmp_path / "records.jsonl"
    with source.open("w") as lines:
        for number in range(count):
            lines.write(json.dumps({"d": f"d{number % 3}", "n": "x", "i": number, "pad": "z" * 50}) + "\n")
        lines.write("no record\n" * bool(count))
    report = tmp_path / "report.json"
    arguments = [
        f"--input={source}",
        f"--destination={store.root}",
        "--domain_field=d",
        "--namespace_field=n",
        "--max_raw_bytes=1MB",
        f"--report={report}",
        *s3_arguments(s3_server),
        *engine.options(),
    ]
    # a process of its own, for the reason that `sums` gives
    command = [sys.executable, "-m", "pipelines.backfill", *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-4_000:]
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(count))
    assert found.unlisted == []
    assert len(found.dead_letters) == bool(count)
    assert len(found.manifests) == min(count, 3)
    totals = json.loads(report.read_text())
    assert totals["records_in"] == count + bool(count)


@pytest.mark.parametrize("name", ["prism", "flink_local", "flink_cluster", "spark_local"])
def test_a_run_of_dead_letters_alone_fails_and_lists_nothing(
    name: str, request: pytest.FixtureRequest, s3_server: Server, tmp_path: pathlib.Path
) -> None:
    """Flink's cluster begins the last step again and again before the job fails; the reason stays the same."""
    engine: Engine = request.getfixturevalue(name)
    store, source = fresh_store(s3_server), tmp_path / "records.jsonl"
    source.write_text('{"carrier":"AA"}\n' * 500)
    command = [
        *(sys.executable, "-m", "pipelines.backfill", f"--input={source}", f"--destination={store.root}"),
        *("--domain_field=carier", "--namespace=n", *s3_arguments(s3_server), *engine.options()),
    ]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "500 of 500 records are dead letters, that is every one: 500 missing-stream" in ended.stderr
    found = read_back(store)
    assert (len(found.dead_letters), found.manifests) == (500, {})
