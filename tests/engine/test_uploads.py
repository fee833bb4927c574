"""Uploads: create-only, named by content, a lost reply is a success, a failure is never swallowed."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from beam_s3box.engine.uploads import Uploader, UploadQueue, put_once
from beam_s3box.errors import AccessError, ObjectExistsError, TransientStoreError
from beam_s3box.formats import JSON_ARRAY, JSON_LINES
from beam_s3box.metrics import MemoryMetrics
from beam_s3box.records.streams import Stream
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import SealedShard, total_size
from beam_s3box.shards.packing import BY_RECORDS
from beam_s3box.shards.runs import new_token
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.system.outside import Outside, replaced
from beam_s3box.testing import FailingStore

STREAM = Stream("web", "clicks")
LAYOUT = Layout("run")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(new_token(12))


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def sealed(number: int, text: bytes = b'{"a":1}', origin: str = "origin") -> SealedShard:
    return SealedShard(STREAM, "", origin, number, BY_RECORDS, (JSON_LINES.cut([text]), JSON_LINES.cut([text])))


def put(store: object, body: bytes) -> int:
    return put_once(store, "key", body, hashlib.sha256(body).hexdigest(), "text/plain")  # type: ignore[arg-type]


def test_the_same_bytes_again_are_a_success_and_others_are_refused(store: MemoryStore) -> None:
    assert put(store, b"one") == put(store, b"one") == 1
    with pytest.raises(ObjectExistsError):
        put(store, b"two")
    assert store.get("key") == b"one"


@pytest.mark.parametrize("format", [JSON_LINES, JSON_ARRAY], ids=lambda format: format.name)
def test_a_shard_is_described_as_it_is(store: MemoryStore, format: object) -> None:
    uploader = Uploader(store, format, LAYOUT)  # type: ignore[arg-type]
    segments = tuple(format.cut([b'{"a":1}', b'{"b":2}']) for _ in range(3))  # type: ignore[attr-defined]
    file = uploader.upload(SealedShard(STREAM, "w", "origin", 7, BY_RECORDS, segments)).file
    body = store.get(file.key)
    assert file.object_bytes == len(body)
    assert file.raw_bytes == len(gzip.decompress(body))
    assert file.records == 6
    assert file.sha256 == hashlib.sha256(body).hexdigest()
    assert file.url == store.url(file.key)
    assert file.key == f"data/web/clicks/w/run-origin-00007-{file.sha256[:12]}.json.gz"
    assert file.sealed_by == BY_RECORDS


def test_two_bundles_with_the_same_bytes_make_two_objects(store: MemoryStore) -> None:
    uploader = Uploader(store, JSON_LINES, LAYOUT)
    files = [uploader.upload(sealed(0, origin=origin)).file for origin in ("one", "two")]
    assert files[0].key != files[1].key
    assert len(list(store.list("data/"))) == 2


def test_the_queue_returns_every_shard_once_and_counts(store: MemoryStore, threads: ThreadPoolExecutor) -> None:
    counts = MemoryMetrics()
    queue = UploadQueue(Uploader(store, JSON_LINES, LAYOUT), threads, counts)
    files = [file for number in range(40) for file in queue.add(sealed(number))] + queue.finish()
    assert len({file.key for file in files}) == len(files) == 40
    assert queue.finish() == []
    totals = counts.totals()
    assert (totals["shards"], totals["shards_by_records"], totals["upload_attempts"]) == (40, 40, 40)
    assert totals["object_bytes"] == sum(info.size for info in store.list("data/"))


def test_what_waits_is_bounded(
    store: MemoryStore, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beam_s3box.engine.uploads._MAX_WAITING_BYTES", 1)
    queue = UploadQueue(Uploader(store, JSON_LINES, LAYOUT), threads, MemoryMetrics())
    assert queue.add(sealed(0)) == []
    assert len(queue.add(sealed(1))) == 1, "the second waits for the first"
    assert len(queue.finish()) == 1


def test_what_was_uploaded_leaves_room_for_as_much(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two shards at a time, however many there were before, and though none of them has ended when the next one comes."""
    size = total_size(sealed(0).segments).object_bytes
    monkeypatch.setattr("beam_s3box.engine.uploads._MAX_WAITING_BYTES", 2 * size)
    gate = threading.Event()
    gate.set()

    class Gated(MemoryStore):
        def put(self, key: str, body: bytes, **arguments: Any) -> int:
            assert gate.wait(60)
            return super().put(key, body, **arguments)

    with ThreadPoolExecutor(8) as pool:
        queue = UploadQueue(Uploader(Gated(new_token(12)), JSON_LINES, LAYOUT), pool, MemoryMetrics())
        for number in range(6):
            queue.add(sealed(number))
        assert queue.finish()
        gate.clear()
        assert [queue.add(sealed(number)) for number in (6, 7)] == [[], []]
        opening = threading.Timer(0.2, gate.set)
        opening.start()
        assert queue.add(sealed(8)), "the third waits for the first"
        assert gate.is_set()
        opening.join()
        queue.finish()


def test_a_failed_upload_raises(store: MemoryStore, threads: ThreadPoolExecutor) -> None:
    failing = FailingStore(store, keys="data/*", succeed=2, fail=1, error=AccessError)
    queue = UploadQueue(Uploader(failing, JSON_LINES, LAYOUT), threads, MemoryMetrics())
    for number in range(2):
        queue.add(sealed(number))
        queue.finish()
    queue.add(sealed(2))
    with pytest.raises(AccessError, match="failed on purpose"):
        queue.finish()


def test_a_lost_reply_is_an_error_once_and_a_success_on_the_retry(store: MemoryStore) -> None:
    failing = FailingStore(store, fail=1, when="after")
    uploader = Uploader(failing, JSON_LINES, LAYOUT)
    with pytest.raises(TransientStoreError):
        uploader.upload(sealed(0))
    assert uploader.upload(sealed(0)).file.records == 2
    assert len(list(store.list())) == 1


def test_an_abandoned_queue_is_empty(store: MemoryStore, threads: ThreadPoolExecutor) -> None:
    queue = UploadQueue(Uploader(store, JSON_LINES, LAYOUT), threads, MemoryMetrics())
    queue.add(sealed(0))
    queue.abandon()
    assert queue.finish() == []


def test_the_time_of_an_upload_is_in_milliseconds() -> None:
    class Slow(Outside):
        seconds = 100.0

        def steady_seconds(self) -> float:
            return self.seconds

    class SlowStore(MemoryStore):
        def put(self, key: str, body: bytes, **arguments: Any) -> int:
            world.seconds += 1.25
            return super().put(key, body, **arguments)

    world = Slow()
    with replaced(world):
        uploaded = Uploader(SlowStore(new_token(12)), JSON_LINES, LAYOUT).upload(sealed(0))
    assert (uploaded.attempts, uploaded.milliseconds) == (1, 1250)
