"""The record of a streamer's life: what it says, how lives on one folder follow each other, and what it never prevents."""

from __future__ import annotations

import hashlib
import pathlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.engine.manifests import Manifests
from beam_s3box.engine.run_reader import Run, find_run, list_runs
from beam_s3box.errors import AccessError, StoreError
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import ObjectInfo
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.streamer import JsonBufferStreamer, StoreUploader
from tests.readback import read_back
from tests.streamer.test_manifest_journal import REDSHIFT, fill, listed

Make = Callable[..., JsonBufferStreamer]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(new_token(12))


def only_run(store: MemoryStore) -> Run:
    [run] = list_runs(store)
    return run


def test_a_life_from_its_first_upload_to_its_end(make: Make, store: MemoryStore) -> None:
    streamer = make(StoreUploader(store), manifests=Manifests(), **REDSHIFT)
    assert not list_runs(store)
    fill(streamer, 0)
    record = only_run(store).record
    assert (record.kind, record.state, record.bounded, record.parent) == ("JsonBufferStreamer", "running", False, None)
    assert record.settings["durability"] == "os"
    manifests = streamer.write_manifests()
    assert streamer.shut_down() == ()
    run = only_run(store)
    assert (run.record.state, run.record.size.records) == ("finished", 40)
    assert [(one.domain, one.namespace, one.records) for one in run.record.streams] == [
        ("web", "a", 20),
        ("web", "b", 20),
    ]
    assert run.record.shards == streamer.stats.uploaded_files == len(list(store.list("data/")))
    assert sorted(run.manifests()) == sorted(manifests)
    for row in run.shards():
        assert row.shard.sha256 == hashlib.sha256(store.get(row.shard.key)).hexdigest()


def test_the_next_life_names_the_one_before_and_ends_it(make: Make, store: MemoryStore) -> None:
    first = make(StoreUploader(store), manifests=Manifests(), **REDSHIFT)
    fill(first, 0)
    first._uploads.stop(first._lock.release)  # killed, as far as its record shows
    second = make(StoreUploader(store), manifests=Manifests(), **REDSHIFT)
    fill(second, 40)
    second.write_manifests()
    assert second.shut_down() == ()
    new, old = sorted((run.record for run in list_runs(store)), key=lambda record: record.parent is None)
    assert (new.parent, new.state, old.state) == (old.run_id, "finished", "failed")
    assert old.error == f"it ended without an orderly shut-down; run {new.run_id} goes on with its folder"
    assert listed(store) == list(range(80)), "what the first one left is listed by the second"
    third = make(StoreUploader(store), manifests=Manifests(), **REDSHIFT)
    fill(third, 80)
    third.shut_down()
    assert find_run(store, third._folder.run_id).record.parent == new.run_id
    assert find_run(store, new.run_id).record.state == "finished"


class Forbidding(MemoryStore):
    """A store that lets nobody write below `runs/`."""

    def put(self, key: str, body: bytes, **arguments: Any) -> int:
        if key.startswith("runs/"):
            raise AccessError("PutObject: 403 AccessDenied")
        return super().put(key, body, **arguments)


def test_without_permission_to_write_a_record_all_goes_on(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Forbidding(new_token(12))
    reported: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: reported.append(arguments.exc_value))
    streamer = make(StoreUploader(store), manifests=Manifests(), **REDSHIFT)
    fill(streamer, 0)
    assert streamer.write_manifests()
    assert streamer.shut_down() == ()
    assert listed(store) == list(range(40))
    assert [type(error) for error in reported] == [AccessError]
    assert "could not be written; uploads go on" in getattr(reported[0], "__notes__", [""])[0]


class WriteOnly(MemoryStore):
    """A store that lets nobody read."""

    def get(self, key: str) -> bytes:
        raise AccessError("GetObject: 403 AccessDenied")

    def read(self, key: str) -> tuple[bytes, ObjectInfo]:
        raise AccessError("GetObject: 403 AccessDenied")


def test_permission_to_write_is_enough(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    name = new_token(12)
    monkeypatch.setattr(threading, "excepthook", lambda arguments: pytest.fail(str(arguments.exc_value)))
    for number in range(2):
        streamer = make(StoreUploader(WriteOnly(name)), format="json-lines")
        fill(streamer, 40 * number)
        assert streamer.shut_down() == ()
    assert [run.record.state for run in list_runs(MemoryStore(name))] == ["finished", "finished"]


class Flaky(MemoryStore):
    """A store whose first writes below `runs/` fail."""

    failures = 2

    def put(self, key: str, body: bytes, **arguments: Any) -> int:
        if key.startswith("runs/") and self.failures:
            self.failures -= 1
            raise StoreError("PutObject: 500")
        return super().put(key, body, **arguments)


def test_a_record_that_could_not_be_written_is_written_later(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Flaky(new_token(12))
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    streamer = make(StoreUploader(store), scheduler_interval=0, format="json-lines")
    fill(streamer, 0)
    assert streamer.shut_down() == ()
    assert only_run(store).record.size.records == 40


def test_a_store_that_hangs_does_not_keep_the_shut_down(make: Make, store: MemoryStore) -> None:
    streamer = make(StoreUploader(store), format="json-lines")
    fill(streamer, 0)
    go_on, put = threading.Event(), store.put

    def slow(*arguments: Any, **named: Any) -> int:
        assert go_on.wait(60)
        return put(*arguments, **named)

    store.put = slow  # type: ignore[method-assign]
    assert streamer.shut_down(timeout=0.2) == ()
    assert only_run(store).record.state == "running"
    go_on.set()


def test_an_uploader_of_the_users_has_no_record(make: Make, store: MemoryStore, folder: pathlib.Path) -> None:
    bodies: list[bytes] = []
    streamer = make(lambda file: bodies.append(file.path.read_bytes()))
    fill(streamer, 0)
    assert streamer.shut_down() == ()
    assert bodies
    assert read_back(store).shards == []
