"""The process is killed: no manifest lists a shard that is not complete, and the same run id can be run again."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from beam_s3box import S3Settings
from beam_s3box.engine.run_record import RunRecord
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import open_store
from tests.readback import read_back
from tests.s3_proxy import Fault, Request, s3_proxy
from tools.seaweedfs import Server

RECORDS = 6_000


@pytest.mark.parametrize("at", ["/data/ 0", "/data/ 7", "/data/ 20", "/runs/ 0", "/manifests/ 0", "/manifests/ 2"])
def test_killed_at_a_request(
    s3_server: Server, tmp_path: pathlib.Path, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps({"d": f"d{i % 4}", "n": "x", "i": i}) + "\n" for i in range(RECORDS)))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.writer.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.writer.secret_key)
    prefix = f"s3://{s3_server.bucket}/{new_token(12)}"
    store = open_store(prefix, S3Settings(endpoint_url=s3_server.endpoint_url, region="us-east-1"))
    folder, _, number = at.partition(" ")
    with s3_proxy(s3_server.endpoint_url) as proxy:
        command = [
            sys.executable, "-m", "pipelines.backfill", "--input", str(source), "--output", prefix,
            "--domain_field", "d", "--namespace_field", "n", "--max_raw_bytes", "5000", "--run_id", "killed",
            "--s3_endpoint_url", proxy.endpoint_url, "--s3_region_name", "us-east-1",
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def kill(request: Request) -> Fault | None:
            """Kill the job when the request has arrived, or just after the server has answered it."""
            is_put = request.operation == "PutObject" and folder in request.key
            if is_put and proxy.count("PutObject", request.key.partition(folder)[0] + folder) > int(number):
                os.kill(process.pid, signal.SIGKILL)
                return Fault(0, "", after=int(number) % 2 == 0)
            return None

        proxy.rule = kill
        assert process.wait(timeout=180) == -signal.SIGKILL

        found = read_back(store)
        assert set(found.records) <= {f"d{i}/x" for i in range(4)}
        if folder != "/manifests/":
            assert found.manifests == {}

        proxy.rule = lambda request: None
        again = subprocess.run(command, capture_output=True, text=True, check=False)
    found = read_back(store)
    assert again.returncode == 0, again.stderr
    assert "this one takes the run over" in again.stderr
    assert sorted(record["i"] for record in found.all_records()) == list(range(RECORDS))
    record = RunRecord.parse("", store.get("runs/killed.json"))
    assert (record.state, {row.key for row in record.manifests}) == ("finished", set(found.manifests))
