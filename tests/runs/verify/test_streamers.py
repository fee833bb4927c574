"""What `verify` and `report` say of streamers: their objects and manifests are checked, and what nobody can know is said."""

from __future__ import annotations

import gzip
import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box import JsonBufferStreamer, Manifests, S3Settings, S3Uploader
from beam_s3box.cli.main import main
from beam_s3box.engine.run_reader import list_runs
from beam_s3box.runs.verify.run_check import Checker, Verified
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import LocalStore
from beam_s3box.streamer import StoreUploader
from tests.runs.verify.conftest import Said
from tests.streamer.life import drop
from tools.seaweedfs import REGION, Server

Verify = Callable[..., Said]

LISTED: dict[str, Any] = {"format": "json-lines", "compression": "gzip", "manifests": Manifests()}


class Folder:
    """A folder of buffers, and what its streamers upload."""

    def __init__(self, path: pathlib.Path) -> None:
        self.buffers = path / "buffers"
        self.store = LocalStore(str(path / "out"))

    def begin(self, records: int, **arguments: Any) -> JsonBufferStreamer:
        streamer = JsonBufferStreamer(StoreUploader(self.store), self.buffers, **arguments)
        streamer.open("web", "clicks", size_limit=200)
        for number in range(records):
            streamer.append("web", "clicks", {"i": number})
        streamer.flush()
        return streamer

    def check(self, state: str) -> Verified:
        [run] = [run for run in list_runs(self.store) if run.record.state == state]
        return Checker().run(run)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> Folder:
    return Folder(tmp_path)


def test_a_streamer_on_s3_is_whole(s3_server: Server, tmp_path: pathlib.Path, verify: Verify) -> None:
    prefix = f"streamer-{new_token(8)}"
    settings = S3Settings(region=REGION, endpoint_url=s3_server.endpoint_url)
    with JsonBufferStreamer(S3Uploader(s3_server.bucket, prefix, settings), tmp_path / "b", **LISTED) as streamer:
        streamer.open("w", "c")
        for number in range(20):
            streamer.append("w", "c", {"i": number})
        streamer.flush()
        streamer.write_manifests()
    said = verify(f"s3://{s3_server.bucket}/{prefix}")
    assert said.out.endswith("nothing is wrong\n"), said.out
    assert "not checked" not in said.out
    assert "1 manifest, 1 shard, 20 records" in said.out


@pytest.mark.parametrize("has_rows", [True, False])
def test_other_bytes_are_found(folder: Folder, *, has_rows: bool) -> None:
    streamer = folder.begin(20, **LISTED)
    streamer.write_manifests()
    assert streamer.shut_down() == ()
    if not has_rows:  # as of a streamer that was killed right before it wrote them
        for info in list(folder.store.list("runs/")):
            if info.key.count("/") > 1:
                folder.store.delete(info.key)
    assert not folder.check("finished").problems
    key = next(folder.store.list("data/")).key
    body = gzip.compress(gzip.decompress(folder.store.get(key)).replace(b"1", b"2"), mtime=0)
    folder.store.put(key, body, sha256="0" * 64, content_type="application/gzip", replace=True)
    assert folder.check("finished").problems


def test_a_streamer_that_was_killed_and_the_next_one(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    drop(folder.begin(20, **LISTED))
    second = folder.begin(37, **LISTED)
    second.write_manifests()
    assert second.shut_down() == ()
    next_one = folder.check("finished")
    assert (next_one.problems.first, next_one.records) == ([], 57)
    [totals] = next_one.unchecked
    assert "uploaded 37 records, and its manifests list 57 records" in totals
    killed = folder.check("failed")
    assert (killed.problems.first, killed.records) == ([], 0)
    assert ["without an orderly shut-down" in what for what in killed.unchecked] == [True]
    capsys.readouterr()
    assert main(["report", folder.store.root]) == 0
    out = capsys.readouterr().out
    assert "57 records listed, 0 dead letters\n" in out
    assert "37 records uploaded by this streamer; it lists what the one before it on the folder left" in out
    assert "≠" not in out


def test_totals_that_do_not_add_up_are_found(folder: Folder) -> None:
    streamer = folder.begin(20, **LISTED)
    streamer.write_manifests()
    assert streamer.shut_down() == ()
    [info] = [info for info in folder.store.list("runs/") if info.key.count("/") == 1]
    record = json.loads(folder.store.get(info.key))
    record["size"]["records"] += 1
    body = json.dumps(record).encode()
    folder.store.put(info.key, body, sha256="", content_type="application/json", replace=True)
    faults = [problem.fault for problem in folder.check("finished").problems.first]
    assert any("counts 21 records of all uploads, and the sum of its streams is 20" in fault for fault in faults)


def test_a_streamer_without_manifests(folder: Folder, verify: Verify, capsys: pytest.CaptureFixture[str]) -> None:
    assert folder.begin(20).shut_down() == ()
    said = verify(folder.store.root)
    assert said.code == 0
    assert "not checked: its objects: the streamer uploaded 20 records, and wrote no manifests" in said.out
    assert json.loads(verify(folder.store.root, "--json").out)["unchecked"][0].startswith("its objects: ")
    page = folder.buffers.parent / "report.html"
    assert main(["report", folder.store.root, f"--html={page}"]) == 0
    out = capsys.readouterr().out
    assert "nothing is listed\n20 records uploaded by this streamer; it writes no manifests\n" in out
    assert "20 records uploaded by this streamer" in page.read_text(encoding="utf-8")
