"""`s3box gc`: what it says, its exit codes, and that it may be killed at any request."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from beam_s3box.cli.main import main
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import LocalStore, S3Settings, S3Store
from tests.runs.made_runs import Made, Part, listing
from tests.s3_proxy import Fault, Request, s3_proxy
from tools.seaweedfs import REGION, Server


def gc(*arguments: str | pathlib.Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(["gc", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def with_garbage(store: LocalStore | S3Store) -> str:
    made = Made(store, "run")
    lost = made.shard(Part([]), [7, 8]).key
    made.finish([Part([[1], [2]])])
    return lost


def age(folder: pathlib.Path, days: float) -> None:
    """Make all files older."""
    then = time.time() - days * 86_400
    for path in folder.rglob("*"):
        os.utime(path, (then, then))


def test_it_says_what_it_frees(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    lost = tmp_path / with_garbage(LocalStore(tmp_path))
    assert gc(tmp_path, capsys=capsys) == (0, f"0 objects of 0 B were removed from file://{tmp_path}\n", "")
    age(tmp_path, 3)
    code, out, err = gc(tmp_path, "--dry_run", capsys=capsys)
    assert (code, err, lost.exists()) == (0, "", True)
    lines = out.splitlines()
    assert lines[0].split() == ["run", "what", "objects", "size"]
    assert lines[2].split() == ["run", "unlisted", "shards", "1", f"{lost.stat().st_size}", "B"]
    assert lines[-1] == f"1 object of {lost.stat().st_size} B would be removed from file://{tmp_path}"
    code, out, _ = gc(tmp_path, "--older_than=1d", capsys=capsys)
    assert (code, lost.exists()) == (0, False)
    assert out.splitlines()[-1].endswith(f" was removed from file://{tmp_path}")
    assert gc(tmp_path, "--quiet", capsys=capsys) == (0, "", "")
    assert listing(LocalStore(tmp_path)).all_ids == [1, 2]


def test_json_and_dead_runs(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = LocalStore(tmp_path)
    made = Made(store, "stream", bounded=False)
    made.fire(Part([[1], [2]]))
    bounded = Made(store, "dead")
    bounded.shard(Part([]), [7])
    age(tmp_path, 3)
    code, out, _ = gc(tmp_path, "--json", "--dry_run", capsys=capsys)
    found = json.loads(out)
    assert code == 0
    assert found["marked"] == {"dead": "it has written nothing for so long"}
    assert list(found["left"]) == ["stream"]
    assert (found["is_dry"], found["total"]["objects"]) == (True, 1)
    assert found["runs"]["dead"]["unlisted shards"]["objects"] == 1
    code, out, _ = gc(tmp_path, "--dead_run=stream", capsys=capsys)
    assert code == 0
    assert "run stream was marked as failed: named as dead" in out
    assert "run dead was marked as failed: it has written nothing for so long" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--older_than=never"], "must be a number of seconds"),
        (["--older_than=-1"], "of at least 0"),
        (["--dead_run=rum"], "dead_run='rum' names no run"),
        (["--run_id=run"], "--run_id is not an option"),
    ],
)
def test_what_can_t_work(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with_garbage(LocalStore(tmp_path))
    code, _, err = gc(tmp_path, *arguments, capsys=capsys)
    assert (code, message in err) == (2, True), err


def test_the_url_of_a_record_is_no_destination(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_garbage(LocalStore(tmp_path))
    code, _, err = gc(tmp_path / "runs" / "run.json", capsys=capsys)
    assert (code, "is the record of a run: give the destination" in err) == (2, True)


@pytest.fixture
def store(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.admin.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.admin.secret_key)
    settings = S3Settings(REGION, s3_server.endpoint_url)
    return S3Store(f"s3://{s3_server.bucket}/{new_token(12)}", settings, s3_server.admin)


def test_uploads_that_nobody_finishes_go(store: S3Store, s3_server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    with_garbage(store)
    client, bucket = s3_server.client(), s3_server.bucket
    ours = Layout("run").shard(Part([]).stream, "", "0123456789ab", 1, "0123456789ab", ".json.gz")
    for key in (ours, "runs/run.json", "data/other.bin", ours.replace("run-", "none-")):
        upload = client.create_multipart_upload(Bucket=bucket, Key=store.full_key(key))["UploadId"]
        client.upload_part(Bucket=bucket, Key=store.full_key(key), UploadId=upload, PartNumber=1, Body=b"x" * 100)
    time.sleep(2.5)
    arguments = [store.root, "--older_than=0", "--json", f"--s3_endpoint_url={s3_server.endpoint_url}"]
    code, out, _ = gc(*arguments, f"--s3_region_name={REGION}", capsys=capsys)
    found = json.loads(out)["kinds"]
    assert code == 0
    assert found["unfinished uploads"] == {"objects": 2, "bytes": 200}
    assert found["unlisted shards"]["objects"] == 1
    left = client.list_multipart_uploads(Bucket=bucket, Prefix=store.full_key("")).get("Uploads", [])
    assert sorted(upload["Key"] for upload in left) == sorted(
        store.full_key(key) for key in ("data/other.bin", ours.replace("run-", "none-"))
    )


def test_what_may_not_be_removed_is_named(
    store: S3Store, s3_server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = with_garbage(store)
    time.sleep(2.5)
    # as options: a client that this process made with keys of the environment would be used again
    keys = s3_server.reader
    options = [f"--s3_access_key_id={keys.access_key}", f"--s3_secret_access_key={keys.secret_key}"]
    arguments = [*options, store.root, "--older_than=0", f"--s3_endpoint_url={s3_server.endpoint_url}"]
    code, _, err = gc(*arguments, f"--s3_region_name={REGION}", capsys=capsys)
    assert (code, "AccessDenied" in err) == (1, True), err
    assert store.get(lost)


POINTS = [("DeleteObjects", False), ("DeleteObjects", True), ("PutObject", False), ("PutObject", True)]


@pytest.mark.parametrize(("operation", "after"), POINTS)
def test_killed_at_a_request_and_started_again(store: S3Store, s3_server: Server, operation: str, after: bool) -> None:
    with_garbage(store)
    Made(store, "dead").shard(Part([]), [9])
    time.sleep(2.5)
    with s3_proxy(s3_server.endpoint_url) as proxy:
        command = [
            sys.executable, "-m", "beam_s3box", "gc", store.root, "--older_than=0", "--dead_run=dead", "--quiet",
            "--s3_endpoint_url", proxy.endpoint_url, "--s3_region_name", REGION,
        ]  # fmt: skip
        process = subprocess.Popen(command)

        def kill(request: Request) -> Fault | None:
            if request.operation == operation:
                os.kill(process.pid, signal.SIGKILL)
                return Fault(0, "", after=after)
            return None

        proxy.rule = kill
        assert process.wait(timeout=180) == -signal.SIGKILL
        assert listing(store).all_ids == [1, 2]
        proxy.rule = lambda request: None
        subprocess.run(command, check=True, timeout=180)
    assert listing(store).all_ids == [1, 2]
    assert len(list(store.list("data/"))) == 2
