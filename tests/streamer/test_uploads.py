"""Each file has one upload at a time, none over another object, and none after a shut-down that no longer waits."""

from __future__ import annotations

import pathlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.errors import ObjectExistsError
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from beam_s3box.streamer import JsonBufferStreamer, StoreUploader, UploadsFailedError
from tests.streamer.numbered_records import fill

Make = Callable[..., JsonBufferStreamer]


def test_no_upload_begins_after_a_shut_down_that_gave_up_waiting(make: Make, kept: Any, folder: pathlib.Path) -> None:
    streamer = make(upload_threads=1)
    streamer.open("web", "a", size_limit=10)
    kept.gate.clear()
    for i in range(2):
        streamer.append("web", "a", {"i": i, "pad": "xxxxxxxxxx"})
    assert kept.begun.acquire(timeout=60)
    assert len(streamer.shut_down(timeout=0.01)) == 2
    kept.gate.set()
    for thread in threading.enumerate():
        if thread.name == "beam_s3box upload":
            thread.join(60)
    assert len(kept.tried) == streamer.stats.uploaded_files == 1
    again = make()
    again.flush()
    assert [record["i"] for record in kept.records()] == [0, 1]
    assert len(kept.tried) == 2


def test_the_upload_replaces_nothing(make: Make) -> None:
    store = MemoryStore(new_token(12))
    seen: list[Any] = []
    uploader = StoreUploader(store)

    def upload(file: Any) -> None:
        if not seen:
            store.put(uploader.key(file), b"other", sha256="", content_type="text/plain")
            seen.append(file)
        uploader.upload(file)

    streamer = make(upload)
    fill(streamer, 0)
    with pytest.raises(UploadsFailedError, match=ObjectExistsError.__name__):
        streamer.flush()
    assert store.get(uploader.key(seen[0])) == b"other"
    store.delete(uploader.key(seen[0]))
    streamer.flush()


def test_a_running_upload_is_not_queued_again(make: Make, kept: Any, clock: Any) -> None:
    streamer = make(upload_threads=2)
    for namespace in "abc":
        streamer.open("web", namespace)
    streamer.append("web", "a", {"i": 0})
    kept.gate.clear()
    with pytest.raises(UploadsFailedError, match="not finished in time"):
        streamer.flush(timeout=0)
    assert kept.begun.acquire(timeout=60)
    for _ in range(3):
        clock.now += 1_000
        streamer.run_scheduled()
    # whatever waits for a thread is taken in its turn, before this
    streamer.append("web", "b", {"i": 1})
    with pytest.raises(UploadsFailedError, match="not finished in time"):
        streamer.flush(timeout=0)
    assert kept.begun.acquire(timeout=60)
    assert len(kept.tried) == len(set(kept.tried)) == 2
    kept.error, kept.failing = OSError("no network"), {"a"}
    kept.gate.set()
    pause = threading.Event()
    while not any(file.attempts for file in streamer.stats.pending):
        pause.wait(0.001)
    streamer.append("web", "c", {"i": 2})
    streamer.close("web", "c")
    assert len(kept.tried) == 3, "the one that failed waits for its time"
