"""S3Box when the store fails or is slow, or the process ends: no loss, no partial publication, bounded memory."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from beam_s3box.box import S3Box
from beam_s3box.errors import AccessError, BoxSealedError, ConfigurationError, StoreError, TransientStoreError
from beam_s3box.stores import LocalStore, MemoryStore, Store
from beam_s3box.testing import FailingStore

ROOT = Path(__file__).parents[2]
SECONDS = 60.0


def listed(store: Store, keys: list[str]) -> list[int]:
    urls = [entry["url"] for key in keys for entry in json.loads(store.get(key))["entries"]]
    assert len(urls) == len(set(urls))
    bodies = [gzip.decompress(store.get(url.removeprefix(store.root + "/"))) for url in urls]
    return sorted(json.loads(line)["i"] for body in bodies for line in body.splitlines())


def pack_until_it_fails(box: S3Box) -> tuple[list[int], StoreError]:
    packed: list[int] = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        try:
            box.pack({"i": len(packed)})
        except StoreError as exc:
            return packed, exc
        packed.append(len(packed))
        time.sleep(0.001)
    raise AssertionError("no error came")


class GatedStore:
    """Forwards writes while the gate is open."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.gate = threading.Event()
        self.waiting = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, key: str, body: bytes, **arguments: Any) -> int:
        self.waiting += 1
        assert self.gate.wait(SECONDS)
        self.waiting -= 1
        return self._store.put(key, body, **arguments)


def test_a_failed_upload_raises_at_the_next_pack_and_loses_nothing(store: MemoryStore) -> None:
    box = S3Box(FailingStore(store, keys="data/*", fail=2), max_records=5, upload_concurrency=1)
    packed, error = pack_until_it_fails(box)
    assert isinstance(error, TransientStoreError)
    assert "seal() uploads them again" in error.__notes__[0]
    assert box.stats.failed >= 1
    assert box.stats.records == len(packed), "the record of the pack that raised is not packed"
    try:
        box.seal()
    except TransientStoreError:
        box.seal()
    keys = box.create_manifests("m")
    assert listed(store, keys) == packed
    assert box.stats.failed == box.stats.pending == 0


def test_packing_goes_on_after_the_error_was_told(store: MemoryStore) -> None:
    box = S3Box(FailingStore(store, keys="data/*", fail=1), max_records=5)
    packed, _ = pack_until_it_fails(box)
    more = list(range(1_000, 1_100))
    assert box.pack_many({"i": i} for i in more) == 100
    assert listed(store, box.create_manifests("m", 3)) == packed + more


def test_a_failed_upload_raises_at_pack_many_with_the_number_packed(store: MemoryStore) -> None:
    box = S3Box(FailingStore(store, keys="data/*", error=AccessError), max_records=1)

    def slowly() -> Iterator[dict[str, int]]:
        for i in range(100_000):
            if i % 2_000 == 0:
                time.sleep(0.05)
            yield {"i": i}

    with pytest.raises(AccessError) as caught:
        box.pack_many(slowly())
    assert f"first {box.stats.records} row(s)" in caught.value.__notes__[-1]


@pytest.mark.parametrize("call", ["seal", "create_manifests"])
def test_a_failed_upload_raises_at_seal_and_the_next_one_tries_again(store: MemoryStore, call: str) -> None:
    box = S3Box(FailingStore(store, keys="data/*", fail=3), max_records=5)
    assert box.pack_many({"i": i} for i in range(50)) == 50
    with pytest.raises(TransientStoreError) as caught:
        box.seal() if call == "seal" else box.create_manifests("m")
    assert "3 shard(s)" in caught.value.__notes__[0]
    assert box.stats[3:] == (7, 15, 3)
    assert list(store.list("m")) == [], "no manifest while a shard is missing"
    with pytest.raises(BoxSealedError):
        box.pack({"i": 1})
    assert listed(store, box.create_manifests("m")) == list(range(50))


def test_seal_fails_as_long_as_the_store_does(store: MemoryStore) -> None:
    box = S3Box(FailingStore(store, keys="data/*", fail=4))
    box.pack({"i": 0})
    for _ in range(4):
        with pytest.raises(TransientStoreError):
            box.seal()
    box.seal()
    assert listed(store, box.create_manifests("m")) == [0]


def test_a_lost_reply_is_no_second_shard(store: MemoryStore) -> None:
    box = S3Box(FailingStore(store, keys="data/*", fail=1, when="after"))
    box.pack({"i": 0})
    with pytest.raises(TransientStoreError):
        box.seal()
    assert listed(store, box.create_manifests("m")) == [0]
    assert len(list(store.list("data/"))) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_manifest_that_fails_is_written_by_the_same_call_again(store: MemoryStore, when: Any) -> None:
    failing = FailingStore(store, keys="m_*", succeed=1, fail=1, when=when)
    box = S3Box(failing, max_records=10)
    box.pack_many({"i": i} for i in range(50))
    with pytest.raises(TransientStoreError):
        box.create_manifests("m", 3)
    with pytest.raises(ConfigurationError, match="twice"):
        box.create_manifests("other", 3)
    assert listed(store, box.create_manifests("m", 3)) == list(range(50))
    assert len(list(store.list("m_"))) == 3


def test_a_key_that_is_refused_leaves_another_to_try(store: MemoryStore) -> None:
    box = S3Box(FailingStore(store, keys="forbidden*", error=AccessError))
    box.pack({"i": 0})
    with pytest.raises(AccessError):
        box.create_manifests("forbidden/m")
    assert listed(store, box.create_manifests("m")) == [0]


def test_an_error_of_a_stores_own_is_no_loss_either(store: MemoryStore) -> None:
    class Odd(GatedStore):
        failures = 1

        def put(self, key: str, body: bytes, **arguments: Any) -> int:
            if self.failures:
                self.failures = 0
                raise ZeroDivisionError("unexpected")
            return self._store.put(key, body, **arguments)

    box = S3Box(Odd(store))
    box.pack({"i": 0})
    with pytest.raises(ZeroDivisionError, match="unexpected"):
        box.seal()
    assert listed(store, box.create_manifests("m")) == [0]


def test_a_seal_that_fails_at_the_end_of_a_with_can_be_repeated(store: MemoryStore) -> None:
    box = S3Box(FailingStore(store, keys="data/*", fail=1))
    with pytest.raises(TransientStoreError), box:
        box.pack({"i": 0})
    assert [info.key for info in store.list()] == [f"runs/{box.run_id}.json"]
    assert listed(store, box.create_manifests("m")) == [0]


def test_pack_waits_while_uploads_are_behind_and_others_can_ask(store: MemoryStore) -> None:
    gated = GatedStore(store)
    box = S3Box(gated, buffer_size=1_000_000, long_values="keep")
    done = threading.Event()
    # noise, so that shards are as large as their records
    noise = [os.urandom(40_000).hex() for _ in range(8)]

    def pack_all() -> None:
        for i in range(3_000):
            box.pack({"i": i, "noise": f"{i}{noise[i % 8]}"})
        done.set()

    thread = threading.Thread(target=pack_all)
    thread.start()
    last = -1
    while box.stats.records != last:
        last = box.stats.records
        assert not done.wait(1.0), "pack did not wait"
    # each shard may be in memory twice, as segments and as the object that is uploaded
    assert 2_000_000 < box.stats.raw_bytes < 66_000_000
    gated.gate.set()
    thread.join()
    assert done.is_set()
    assert listed(store, box.create_manifests("m")) == list(range(3_000))


def test_pack_raises_instead_of_waiting_for_ever_when_what_failed_fills_the_memory(store: MemoryStore) -> None:
    box = S3Box(FailingStore(store, keys="data/*", fail=500), buffer_size=2_000_000, long_values="keep")
    noise = [os.urandom(40_000).hex() for _ in range(8)]
    packed: list[int] = []
    errors = 0
    for i in range(3_000):
        try:
            box.pack({"i": i, "noise": f"{i}{noise[i % 8]}"})
        except TransientStoreError:
            errors += 1
            if errors > 200:
                break
        else:
            packed.append(i)
    assert errors > 200
    assert box.stats.raw_bytes < 150_000_000
    assert box.stats.records == len(packed)
    for _ in range(500):
        try:
            box.seal()
        except TransientStoreError:
            continue
        break
    assert listed(store, box.create_manifests("m")) == packed


def test_leaving_by_an_exception_does_not_wait_for_a_store_that_hangs(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beam_s3box.box.box._LEAVE_SECONDS", 0.2)
    gated = GatedStore(store)
    begun = time.monotonic()
    with pytest.raises(KeyError), S3Box(gated, max_records=1, upload_concurrency=2) as box:  # noqa: PT012 - the `with` is what is tested
        box.pack_many({"i": i} for i in range(40))
        raise KeyError("mine")
    assert time.monotonic() - begun < SECONDS / 2
    gated.gate.set()
    end = time.monotonic() + SECONDS
    while gated.waiting and time.monotonic() < end:
        time.sleep(0.01)
    assert len(list(store.list("data/"))) <= 2, "what had not begun never does"


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


PACK = """
import sys
from beam_s3box.box import S3Box
box = S3Box(sys.argv[1], max_records=10)
for i in range(105):
    box.pack({"i": i})
"""


def test_a_process_that_ends_without_seal_has_published_nothing(tmp_path: Path) -> None:
    done = run(PACK, str(tmp_path / "out"))
    assert (done.returncode, done.stderr) == (0, "")
    store = LocalStore(tmp_path / "out")
    for info in store.list():
        assert info.key.startswith("data/"), "whole shards at worst"
        assert len(gzip.decompress(store.get(info.key)).splitlines()) == 10


def test_a_process_that_seals_has_uploaded_all(tmp_path: Path) -> None:
    done = run(PACK + "print(*box.create_manifests('m', 2))", str(tmp_path / "out"))
    assert (done.returncode, done.stderr) == (0, "")
    assert listed(LocalStore(tmp_path / "out"), done.stdout.split()) == list(range(105))


MEMORY = """
import os, resource, sys, threading, time
from beam_s3box.box import S3Box
from beam_s3box.stores import MemoryStore

class Slow:
    def __getattr__(self, name):
        return getattr(MemoryStore("slow"), name)
    def put(self, key, body, **arguments):
        time.sleep(len(body) / 5e6)
        return 1

def packed(box, number):
    if sys.argv[2] == "noise":
        noise = [os.urandom(2_000).hex() for _ in range(50)]
        for i in range(8_000):
            box.pack({"i": i, "noise": f"{i}{noise[i % 50]}"})
    else:
        box.pack_many(b"{}" for _ in range(1_000_000))

S3Box(Slow(), max_records=1).pack({})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
box = S3Box(Slow(), buffer_size=int(sys.argv[1]))
threads = [threading.Thread(target=packed, args=(box, number)) for number in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
box.seal()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.parametrize("what", ["noise", "tiny"])
@pytest.mark.parametrize("buffer_size", [1_000_000, 10_000_000])
def test_memory_is_bounded_whatever_the_callers_do(buffer_size: int, what: str) -> None:
    done = run(MEMORY, str(buffer_size), what)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= 2 * buffer_size + 64_000_000
