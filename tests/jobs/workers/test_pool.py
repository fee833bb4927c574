"""A backfill by processes of this machine: what one process writes, joined where each has too little, or nothing."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.engine.run_record import RunRecord
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import S3Settings, open_store
from tests.jobs.conftest import ROOT
from tests.jobs.test_backfill import on_server
from tests.readback import read_back
from tests.s3_proxy import Fault, Request, s3_proxy
from tools.seaweedfs import REGION, Server

NAMING = ("--domain_field=d", "--namespace_field=n")
FILES = 6
RECORDS = 1_200
PATIENCE = 60.0
Run = Callable[..., Any]


@pytest.fixture
def landing(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder of files, each with records of the same four streams."""
    folder = tmp_path / "in"
    folder.mkdir()
    for file in range(FILES):
        lines = [json.dumps({"d": f"d{i % 4}", "n": "x", "i": file * RECORDS + i}) for i in range(RECORDS)]
        (folder / f"{file}.jsonl").write_text("\n".join(lines))
    return folder


def test_small_streams_of_all_processes_are_joined(
    backfill: Run, landing: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    place, report_path = tmp_path / "out", tmp_path / "report.json"
    ended = backfill(
        f"--input={landing}/*.jsonl", f"--destination={place}", *NAMING, "--workers=3", "--log_level=info",
        f"--report={report_path}",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    read = next(line for line in ended.err.splitlines() if "worker processes read" in line)
    assert len(read.rpartition("read ")[2].split(", ")) == 3
    found = read_back(open_store(str(place)))
    assert sorted(one["i"] for one in found.all_records()) == list(range(FILES * RECORDS))
    assert (len(found.shards), len(found.manifests), found.unlisted) == (4, 4, [])
    report = json.loads(report_path.read_text())
    assert (report["records_in"], report["records_listed"]) == (FILES * RECORDS, FILES * RECORDS)
    assert f"{FILES * RECORDS:,} records read" in ended.out


def test_full_shards_are_written_by_the_processes(backfill: Run, landing: pathlib.Path, tmp_path: pathlib.Path) -> None:
    place = tmp_path / "out"
    ended = backfill(
        f"--input={landing}/*.jsonl", f"--destination={place}", *NAMING, "--workers=2", "--max_records=100"
    )
    assert ended.code == 0, ended.err
    found = read_back(open_store(str(place)))
    assert sorted(one["i"] for one in found.all_records()) == list(range(FILES * RECORDS))
    # none is over the limit, and at most one a stream is not full
    assert all(entry <= 100 for entry in records_of_shards(place))
    assert len(found.shards) == FILES * RECORDS // 100


def records_of_shards(place: pathlib.Path) -> list[int]:
    manifests = place.glob("manifests/**/*.manifest")
    return [entry["meta"]["record_count"] for path in manifests for entry in json.loads(path.read_bytes())["entries"]]


@pytest.mark.parametrize("scope", ["stream", "run"])
def test_rows_and_lines_that_are_bad(backfill: Run, tmp_path: pathlib.Path, scope: str) -> None:
    (tmp_path / "a.csv").write_text("d,n,i\n" + "".join(f"web,x,{i}\n" for i in range(50)) + "web,x\n")
    (tmp_path / "b.jsonl").write_text('{"d": "web", "n": "x", "i": 50}\nbad\n')
    place = tmp_path / "out"
    ended = backfill(
        f"--input={tmp_path}/a.csv", f"--input={tmp_path}/b.jsonl", f"--destination={place}", *NAMING, "--workers=2",
        f"--manifest_scope={scope}", f"--run_id=bad-rows-{scope}",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert ended.err.count(f"WARNING dead letters of run bad-rows-{scope} so far: 1 not-json") == 1
    found = read_back(open_store(str(place)))
    assert len(found.all_records()) == 51
    assert {(pathlib.Path(letter["source"]).name, letter["line"]) for letter in found.dead_letters} == {
        ("a.csv", 52),
        ("b.jsonl", 2),
    }
    assert len(found.manifests) == 1


def test_what_a_process_raises_fails_the_run(backfill: Run, landing: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (landing / "bad.jsonl").write_text("bad\n")
    place = tmp_path / "out"
    ended = backfill(
        f"--input={landing}/*.jsonl", f"--destination={place}", *NAMING, "--workers=2", "--on_bad_record=fail",
        "--run_id=bad",
    )  # fmt: skip
    assert ended.code == 1
    assert ended.err.startswith("error: the pipeline failed: not-json: ")
    assert ended.err.count("\n") == 1
    assert read_back(open_store(str(place))).manifests == {}
    assert RunRecord.parse("", open_store(str(place)).get("runs/bad.json")).state == "failed"


def test_keys_that_only_options_hold_reach_the_processes(
    backfill: Run, landing: pathlib.Path, s3_server: Server
) -> None:
    prefix = f"s3://{s3_server.bucket}/{new_token(12)}"
    ended = backfill(
        f"--input={landing}/*.jsonl", f"--destination={prefix}", *NAMING, *on_server(s3_server, s3_server.writer),
        "--workers=2", "--max_records=100",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert f"{FILES * RECORDS:,} records read = {FILES * RECORDS:,} listed" in ended.out


def children_of(pid: int) -> list[int]:
    return list(map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def is_gone(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
@pytest.mark.parametrize("who", ["worker", "launcher"])
@pytest.mark.parametrize("at", [0, 9])
def test_a_process_is_killed_and_nothing_is_lost_or_doubled(
    s3_server: Server, landing: pathlib.Path, monkeypatch: pytest.MonkeyPatch, who: str, at: int
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.writer.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.writer.secret_key)
    folder = new_token(12)
    prefix = f"s3://{s3_server.bucket}/{folder}"
    store = open_store(prefix, S3Settings(endpoint_url=s3_server.endpoint_url, region=REGION))
    with s3_proxy(s3_server.endpoint_url) as proxy:
        command = [
            sys.executable, "-m", "pipelines.backfill", f"--input={landing}/*.jsonl", f"--destination={prefix}", *NAMING,
            "--max_records=100", "--run_id=killed", "--workers=2",
            f"--s3_endpoint_url={proxy.endpoint_url}", f"--s3_region_name={REGION}",
        ]  # fmt: skip
        workers: list[int] = []
        once = threading.Lock()  # two requests may come at the same time

        def kill(request: Request) -> Fault | None:
            is_shard = request.operation == "PutObject" and "/data/" in request.key
            if is_shard and proxy.count("PutObject", f"{folder}/data/") > at and once.acquire(blocking=False):
                workers.extend(children_of(process.pid))
                os.kill(workers[0] if who == "worker" else process.pid, signal.SIGKILL)
            return None

        proxy.rule = kill
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        _, err = process.communicate(timeout=PATIENCE)
        assert len(workers) == 2
        until = time.monotonic() + PATIENCE
        while not all(map(is_gone, workers)):
            assert time.monotonic() < until, "workers outlive the launcher"
            time.sleep(0.1)
        if who == "worker":
            assert process.returncode == 1
            assert f"worker process {workers[0]} of 2 was ended by SIGKILL before its part was packed" in err
            assert "Traceback" not in err
        else:
            assert process.returncode == -signal.SIGKILL
        assert read_back(store).manifests == {}
        again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    found = read_back(store)
    assert sorted(one["i"] for one in found.all_records()) == list(range(FILES * RECORDS))
    assert RunRecord.parse("", store.get("runs/killed.json")).state == "finished"
