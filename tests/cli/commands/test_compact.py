"""`s3box compact`: what it says, its exit codes, and that it may be killed at any request and started again."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from beam_s3box.cli.main import main
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import LocalStore, S3Settings, S3Store
from tests.runs.made_runs import CLICKS, VIEWS, Made, Part, listing
from tests.s3_proxy import Fault, Request, s3_proxy
from tools.seaweedfs import REGION, Server


def compact(*arguments: str | pathlib.Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(["compact", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def test_it_says_what_became_of_a_run(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    Made(LocalStore(tmp_path), "run").finish([Part([[1], [2]]), Part([[3], [4]], VIEWS)])
    code, out, err = compact(tmp_path, capsys=capsys)
    assert (code, err) == (0, "")
    first, second = out.splitlines()
    assert first.startswith("run compact-")
    assert first.endswith(" replaces 2 manifests of run run by 2")
    assert second.startswith("4 shards became 2, with 4 records in ")
    code, out, _ = compact(tmp_path, "--run_id=run", capsys=capsys)
    assert (code, out) == (0, "run run has nothing to join: no two of its shards fit together, or all are compacted\n")


def test_json(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    Made(LocalStore(tmp_path), "run").finish([Part([[1], [2]])])
    code, out, _ = compact(tmp_path / "runs" / "run.json", "--json", "--max_object_bytes=1MB", capsys=capsys)
    found = json.loads(out)
    assert code == 0
    assert (found["parent"], found["shards_before"], found["shards"], found["records"]) == ("run", 2, 1, 2)
    code, out, _ = compact(tmp_path, "--run_id=run", "--json", capsys=capsys)
    assert (code, json.loads(out)["run_id"]) == (0, None)
    assert compact(tmp_path, "--quiet", capsys=capsys) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--max_object_bytes=none"], 2, "--max_object_bytes='none' is not a size"),
        (["--max_object_bytes=6GiB"], 2, "max_object_bytes=6442450944 must be a whole number from 1 to 5368709120"),
        (["--older_than=soon"], 2, "must be a number of seconds"),
        (["--run_id=rum"], 2, "did you mean 'run'?"),
        (["--run_id=open"], 2, "it is running and not finished"),
    ],
)
def test_what_can_t_work(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    store = LocalStore(tmp_path)
    Made(store, "run").finish([Part([[1], [2]])])
    Made(store, "open")
    found, _, err = compact(tmp_path, *arguments, capsys=capsys)
    assert (found, message in err) == (code, True), err
    assert len(list(store.list("runs/"))) == 3


def test_a_damaged_shard_fails_it(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = LocalStore(tmp_path)
    Made(store, "run").finish([Part([[1], [2]])])
    (tmp_path / listing(store).shards[0]).write_bytes(b"no")
    code, _, err = compact(tmp_path, capsys=capsys)
    assert code == 1
    assert "is not the shard that the run has listed: it has 2 bytes" in err


POINTS = [
    ("PutObject", "runs/run/compacted/", True),
    ("PutObject", "runs/compact-", False),
    ("PutObject", "runs/compact-", True),
    ("PutObject", "data/", False),
    ("PutObject", "data/", True),
    ("PutObject", "manifests/", False),
    ("PutObject", "manifests/", True),
    ("PutObject", "runs/compact-", None),
]


@pytest.mark.parametrize(("operation", "folder", "after"), POINTS)
def test_killed_at_a_request_and_started_again_at_once(
    s3_server: Server, monkeypatch: pytest.MonkeyPatch, operation: str, folder: str, after: bool | None
) -> None:
    prefix = f"s3://{s3_server.bucket}/{new_token(12)}"
    store = S3Store(prefix, S3Settings(REGION, s3_server.endpoint_url), s3_server.admin)
    Made(store, "run").finish([Part([[1, 2], [3], [4]]), Part([[5], [6]], CLICKS), Part([[7], [8]], VIEWS)])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.writer.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.writer.secret_key)
    with s3_proxy(s3_server.endpoint_url) as proxy:
        command = [
            sys.executable, "-m", "beam_s3box", "compact", prefix, "--run_id=run", "--quiet",
            "--s3_endpoint_url", proxy.endpoint_url, "--s3_region_name", REGION,
        ]  # fmt: skip
        process = subprocess.Popen(command)

        def kill(request: Request) -> Fault | None:
            place = request.key.partition("/")[2]
            # None: the second of them, which is the one that finishes the run
            skipped = after is None and proxy.count(operation, request.key) < 2
            if request.operation == operation and place.startswith(folder) and not skipped:
                os.kill(process.pid, signal.SIGKILL)
                return Fault(0, "", after=after is not False)
            return None

        proxy.rule = kill
        assert process.wait(timeout=180) == -signal.SIGKILL
        assert listing(store).all_ids == list(range(1, 9))
        proxy.rule = lambda request: None
        subprocess.run(command, check=True, timeout=120)
    found = listing(store)
    assert sorted(found.ids.values()) == [[1, 2, 3, 4, 5, 6], [7, 8]]
    assert len(found.shards) == 2
