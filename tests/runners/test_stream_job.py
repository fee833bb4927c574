"""The streaming job, as its command line starts it: files land while it looks, and it drains and ends."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import time

import pytest

from tests.readback import read_back
from tests.runners.engines import Engine
from tests.runners.feed import ROOT
from tests.runners.test_streams import fresh_store, s3_arguments
from tools.seaweedfs import Server

FILES = 12
LINES = 50
EVERY_SECONDS = 2.0
STOP_AFTER = {"prism": 35, "flink_local": 45}


@pytest.mark.parametrize("name", ["prism", "flink_local"])
def test_files_that_land_are_written_once(
    name: str, request: pytest.FixtureRequest, s3_server: Server, tmp_path: pathlib.Path
) -> None:
    engine: Engine = request.getfixturevalue(name)
    store, landing = fresh_store(s3_server), tmp_path / "landing"
    landing.mkdir()
    command = [
        *(sys.executable, "-m", "pipelines.stream"),
        f"--input={landing}/*.jsonl",
        f"--destination={store.root}",
        *("--domain_field=d", "--namespace_field=n", "--timestamp_field=t"),
        *("--window=fixed:5", "--watermark_delay=5", "--allowed_lateness=10", "--max_seconds=2"),
        *("--poll_interval=1", f"--stop_after={STOP_AFTER[name]}"),
        f"--report={tmp_path / 'report.json'}",
        *s3_arguments(s3_server),
        *engine.options(streaming=True),
    ]
    with (tmp_path / "job.log").open("w") as log:
        job = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        try:
            land(landing)
            assert job.wait(180) == 0, (tmp_path / "job.log").read_text()[-4_000:]
        finally:
            job.kill()
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(FILES * LINES))
    assert found.unlisted == []
    assert len(found.dead_letters) == FILES
    # files came over 24 seconds: in several windows
    assert len({folder.rpartition("/")[2] for folder in found.records}) >= 3
    totals = json.loads((tmp_path / "report.json").read_text())
    assert totals["records_in"] == totals["records_listed"] + totals["dead_letters"] == FILES * (LINES + 1)


def land(landing: pathlib.Path) -> None:
    """Put file after file into the folder, whole, each with one line that is no record."""
    for number in range(FILES):
        ids = range(number * LINES, (number + 1) * LINES)
        lines = [json.dumps({"d": "web", "n": f"n{i % 3}", "i": i, "t": time.time()}) for i in ids]
        partial = landing / f"{number}.partial"
        partial.write_text("\n".join([*lines, "no record"]) + "\n")
        partial.rename(landing / f"{number}.jsonl")
        time.sleep(EVERY_SECONDS)
