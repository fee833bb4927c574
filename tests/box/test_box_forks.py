"""A fork in every state of a box: the child gets a clear error or a new box, the parent publishes everything."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from beam_s3box.box import S3Box
from beam_s3box.errors import BoxSealedError
from beam_s3box.stores import LocalStore, S3Settings, S3Store
from tests.readback import read_back
from tests.sweeps import Hung, hangs_are_found
from tools.seaweedfs import REGION, Server

CALLS: Final[dict[str, Callable[[S3Box], object]]] = {
    "pack": lambda box: box.pack({"i": -1}),
    "pack_many": lambda box: box.pack_many([{"i": -1}]),
    "seal": lambda box: box.seal(),
    "create_manifests": lambda box: box.create_manifests("manifests/child"),
    "leaving the with": lambda box: box.__exit__(None, None, None),
}


class Slow(LocalStore):
    """A store whose uploads wait until the gate opens."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self.begun, self.gate = threading.Event(), threading.Event()

    def put(self, key: str, body: bytes, **arguments: Any) -> int:
        self.begun.set()
        self.gate.wait()
        return super().put(key, body, **arguments)


def in_child(work: Callable[[], object]) -> int:
    """Fork, do the work in the child, and return its exit code: 0 if it succeeded, 3 if it hung."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        with hangs_are_found():
            work()
        code = 0
    except Hung:
        code = 3
    finally:
        os._exit(code)


def used_in_child(box: S3Box) -> None:
    for call in CALLS.values():
        with pytest.raises(BoxSealedError, match=r"belongs to process \d+.*box.next_box\(\)"):
            call(box)
    assert box.stats.records >= 0
    assert box.shards is not None
    # as an exception, or the end of a forked worker, leaves the `with`
    box.__exit__(KeyError, KeyError("mine"), None)
    own = box.next_box()
    own.pack_many({"i": -1} for _ in range(7))
    assert own.create_manifests(f"manifests/child-{os.getpid()}")


def unused(box: S3Box) -> int:
    return 0


def buffered(box: S3Box) -> int:
    return box.pack_many({"i": i} for i in range(3))


def uploading(box: S3Box) -> int:
    return box.pack_many({"i": i} for i in range(5_000))


def locked(box: S3Box) -> int:
    """Hold every lock on a thread that does not exist in the child."""
    held, packer = threading.Event(), box._packer

    def hold() -> None:
        with packer._lock, packer._codec._lock:
            for stripe in packer._all_stripes:
                stripe.lock.acquire()
            held.set()
            threading.Event().wait(0.3)
            for stripe in packer._all_stripes:
                stripe.lock.release()

    count = buffered(box)
    threading.Thread(target=hold, daemon=True).start()
    held.wait()
    return count


def sealed(box: S3Box) -> int:
    count = buffered(box)
    box.seal()
    return count


@pytest.mark.parametrize("state", [unused, buffered, uploading, locked, sealed])
def test_forked_in_every_state(state: Callable[[S3Box], int], tmp_path: Path, note: Callable[[str], None]) -> None:
    box = S3Box(tmp_path, max_records=100)
    count = state(box)
    assert in_child(lambda: used_in_child(box)) == 0
    if state is not sealed:
        count += box.pack_many({"i": i} for i in range(count, count + 10))
    box.create_manifests("manifests/parent")
    found = read_back(LocalStore(str(tmp_path)))
    records = [record["i"] for record in found.all_records()]
    assert sorted(i for i in records if i >= 0) == list(range(count)), "the parent's"
    assert records.count(-1) == 7, "the child's"
    note(f"forked when {state.__name__}: {len(CALLS)} calls refused")


def test_forked_while_an_upload_runs(tmp_path: Path) -> None:
    store = Slow(tmp_path)
    box = S3Box(store, max_records=5)
    box.pack_many({"i": i} for i in range(20_000))
    store.begun.wait()

    def rejected() -> None:
        with pytest.raises(BoxSealedError):
            box.create_manifests("manifests/child")

    assert in_child(rejected) == 0
    store.gate.set()
    box.create_manifests("manifests/parent")
    assert len(read_back(LocalStore(str(tmp_path))).all_records()) == 20_000


def test_the_childs_store_has_a_client_of_its_own(s3_server: Server) -> None:
    settings = S3Settings(endpoint_url=s3_server.endpoint_url, region=REGION)
    store = S3Store(f"s3://{s3_server.bucket}/{os.urandom(6).hex()}", settings, s3_server.writer)
    box = S3Box(store)
    box.pack({"i": 0})
    box.seal()
    parents = store.client

    def work() -> None:
        assert store.client is not parents
        own = box.next_box()
        own.pack({"i": 1})
        own.create_manifests("manifests/child")

    with store._connection._lock:
        assert in_child(work) == 0
    assert store.client is parents
    box.create_manifests("manifests/parent")
    assert sorted(record["i"] for record in read_back(store).all_records()) == [0, 1]
