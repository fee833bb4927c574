"""A streamer on an empty folder, with a manual clock and an uploader that stores what it gets."""

from __future__ import annotations

import json
import os
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from beam_s3box.engine.manifests import Manifests
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from beam_s3box.stores.retries import Retry
from beam_s3box.streamer import BufferFile, JsonBufferStreamer, StoreUploader


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Kept:
    """Stores what is uploaded; fails while `error` is set, waits while `gate` is closed."""

    def __init__(self) -> None:
        self.files: list[BufferFile] = []
        self.bodies: list[bytes] = []
        self.error: Exception | None = None
        self.failing: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Semaphore(0)
        self.tried: list[str] = []

    def upload(self, file: BufferFile) -> None:
        self.tried.append(file.file_name)
        self.begun.release()
        self.gate.wait(120)
        if self.error and (not self.failing or file.namespace in self.failing):
            raise self.error
        body = file.path.read_bytes()
        assert len(body) == file.size
        self.files.append(file)
        self.bodies.append(body)

    def records(self) -> list[dict[str, Any]]:
        return [record for body in self.bodies for record in json.loads(body)]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept() -> Iterator[Kept]:
    kept = Kept()
    yield kept
    kept.gate.set()


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[BaseException | None]:
    """What is reported to `threading.excepthook`."""
    seen: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append(args.exc_value))
    return seen


@pytest.fixture
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip syncs, which are slow and make no difference to the tests that use this."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "buffers"


@pytest.fixture
def stored() -> dict[str, Any]:
    """The arguments of a streamer that writes manifests to a store in memory."""
    uploader = StoreUploader(MemoryStore(new_token(12)))
    return {"uploader": uploader, "format": "json-lines", "compression": "gzip", "manifests": Manifests()}


@pytest.fixture
def make(folder: pathlib.Path, kept: Kept, clock: Clock) -> Iterator[Callable[..., JsonBufferStreamer]]:
    """Create streamers on the folder; they are shut down at the end."""
    made: list[JsonBufferStreamer] = []

    def streamer(uploader: Any = None, **arguments: Any) -> JsonBufferStreamer:
        defaults: dict[str, Any] = {
            "scheduler_interval": 0, "clock": clock, "retry": Retry(base_seconds=10, cap_seconds=100, random=lambda: 1.0)
        }  # fmt: skip
        made.append(JsonBufferStreamer(uploader or kept, folder, **{**defaults, **arguments}))
        return made[-1]

    yield streamer
    kept.gate.set()
    kept.error = None
    for one in made:
        one.shut_down()
