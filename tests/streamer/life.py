"""One complete life of a streamer folder, for tests that interrupt it at every point: fill, flush, list, end, continue.

`Ledger` is what the outside knows: which records were acknowledged, and what reached the uploader.
"""

from __future__ import annotations

import collections
import contextlib
import faulthandler
import gzip
import json
import os
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from beam_s3box.engine.manifests import Manifests
from beam_s3box.errors import S3BoxError
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import LocalStore, MemoryStore, Store
from beam_s3box.stores.retries import Retry
from beam_s3box.streamer import BufferFile, JsonBufferStreamer, StoreUploader

FAST = Retry(base_seconds=0.0, cap_seconds=0.0)
SECONDS = 60
"""How long one call may take before it counts as hung."""


class Counting(StoreUploader):
    """Uploads to a store, and counts the uploads of each file."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.uploads: collections.Counter[str] = collections.Counter()

    def upload(self, file: BufferFile) -> None:
        super().upload(file)
        self.uploads[file.file_name] += 1


class Ledger:
    """Follows records through lives on one folder; `check` finds what is lost, duplicated or stuck."""

    def __init__(self, folder: pathlib.Path, durability: str = "os", store: pathlib.Path | None = None) -> None:
        self.folder = folder
        self.durability = durability
        self.uploader = Counting(LocalStore(store) if store else MemoryStore(new_token(12)))
        self.acknowledged: list[int] = []
        self.tried = 0

    def make(self, **arguments: Any) -> JsonBufferStreamer:
        defaults: dict[str, Any] = {
            "scheduler_interval": 0, "retry": FAST, "format": "json-lines", "compression": "gzip", "manifests": Manifests(),
            "durability": self.durability, "upload_threads": 1,
        }  # fmt: skip
        return JsonBufferStreamer(self.uploader, self.folder, **{**defaults, **arguments})

    def append(self, streamer: JsonBufferStreamer, count: int = 1) -> None:
        for _ in range(count):
            number = self.tried
            self.tried += 1
            streamer.append("web", "ab"[number % 2], {"i": number})
            self.acknowledged.append(number)

    def open(self, streamer: JsonBufferStreamer) -> None:
        for namespace in "ab":
            streamer.open("web", namespace, size_limit=40, time_limit=0)

    def finish(self) -> None:
        """Let another streamer do the rest, undisturbed."""
        streamer = self.make()
        streamer.flush(SECONDS)
        streamer.write_manifests()
        assert streamer.shut_down(SECONDS) == (), "stuck"
        assert streamer.stats.lost_records == 0
        assert streamer.stats.disk_bytes == 0

    def listed(self) -> list[int]:
        store = self.uploader.store
        manifests = [json.loads(store.get(info.key)) for info in store.list("manifests/")]
        urls = [entry["url"] for manifest in manifests for entry in manifest["entries"]]
        assert len(set(urls)) == len(urls), "a file is listed twice"
        assert sorted(urls) == sorted(store.url(info.key) for info in store.list("data/")), "a file is not listed"
        bodies = [gzip.decompress(store.get(url.removeprefix(store.root + "/"))) for url in urls]
        return [json.loads(line)["i"] for body in bodies for line in body.splitlines()]

    def check(self, unacknowledged: int) -> None:
        """Fail if an acknowledged record is not listed exactly once, or other records are."""
        found = collections.Counter(self.listed())
        lost = set(self.acknowledged) - set(found)
        assert not lost, f"lost {sorted(lost)}"
        duplicated = [number for number, times in found.items() if times > 1]
        assert not duplicated, f"duplicated {duplicated}"
        assert len(found) - len(self.acknowledged) <= unacknowledged
        assert os.listdir(self.folder) == ["lock"], "something is left"


@contextlib.contextmanager
def within_seconds(seconds: float = 30 * SECONDS) -> Iterator[None]:
    """Kill the process with a traceback of all threads if this hangs, because nothing else ends a deadlock."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=2)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def again(call: Callable[[], Any], times: int = 4) -> Any:
    """Repeat a call until it succeeds, as a program does after a transient error."""
    for left in reversed(range(times)):
        try:
            return call()
        except (S3BoxError, OSError):
            if not left:
                raise
    return None


def drop(streamer: JsonBufferStreamer) -> None:
    """Do what the end of the process does: stop the threads of the streamer, and unlock the folder."""
    done = threading.Event()
    streamer._uploads.stop(done.set)
    if streamer._scheduler is not None:
        streamer._scheduler.stop()
    assert done.wait(SECONDS), "an upload hangs"
    streamer._lock.release()
