"""S3Box at the end of a process, without threads, and with user code that raises a BaseException."""

from __future__ import annotations

import _thread
import asyncio
import gc
import json
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from beam_s3box.box import S3Box
from beam_s3box.errors import BoxSealedError, S3BoxError
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import Credentials, MemoryStore, S3Settings, S3Store
from tests.readback import read_back
from tools.seaweedfs import REGION, Server

ROOT = Path(__file__).parents[2]

AT_EXIT = """
import atexit, json, os, sys, threading, time
from beam_s3box import S3Box, S3Settings
url, endpoint, key, secret, when, used, noise = json.loads(sys.argv[1])
settings = S3Settings(endpoint_url=endpoint, region="us-east-1", multipart_bytes=5 * 1024**2, part_bytes=5 * 1024**2)
box = S3Box(url, s3=settings, aws_access_key_id=key, aws_secret_access_key=secret, buffer_size=30_000_000, long_values="keep")
def pack(numbers):
    for i in numbers:
        box.pack({"i": i, **{f"noise{j}": os.urandom(noise).hex() for j in range(4)}})
def end():
    pack(range(40, 80))
    print(*box.create_manifests("manifests/m"), flush=True)
if used:
    S3Box(url, s3=settings, aws_access_key_id=key, aws_secret_access_key=secret).next_box()
    threading.Thread(target=int).start()
pack(range(40))
if when == "atexit":
    atexit.register(end)
else:
    threading.Thread(target=lambda: (threading.main_thread().join(), time.sleep(0.1), end())).start()
"""


@pytest.mark.parametrize("when", ["atexit", "thread"])
@pytest.mark.parametrize("noise", [10, 25_000], ids=["one request", "in parts"])
def test_sealed_when_the_main_thread_has_ended(s3_server: Server, when: str, noise: int) -> None:
    url = f"s3://{s3_server.bucket}/{new_token(12)}"
    keys = s3_server.writer
    given = json.dumps(
        [url, s3_server.endpoint_url, keys().access_key, keys().secret_key, when, when == "thread", noise]
    )
    done = subprocess.run(
        [sys.executable, "-c", AT_EXIT, given], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "manifests/m_0.manifest\n")
    store = S3Store(url, S3Settings(endpoint_url=s3_server.endpoint_url, region=REGION), keys)
    assert sorted(record["i"] for record in read_back(store).all_records()) == list(range(80))


def test_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    store = MemoryStore(new_token(12))
    box = S3Box(store, max_records=5)
    box.pack_many({"i": i} for i in range(20_003))
    box.create_manifests("manifests/m", 2)
    assert sorted(record["i"] for record in read_back(store).all_records()) == list(range(20_003))


class Raising:
    """A store whose first write raises a BaseException, as a cancelled library may."""

    def __init__(self, store: MemoryStore, error: BaseException) -> None:
        self._store = store
        self._errors = [error]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, key: str, body: bytes, **arguments: Any) -> int:
        if self._errors:
            raise self._errors.pop()
        return self._store.put(key, body, **arguments)


@pytest.mark.parametrize("error", [asyncio.CancelledError("a"), SystemExit("a"), GeneratorExit("a")], ids=repr)
def test_what_is_no_exception_is_an_error_of_its_upload(error: BaseException) -> None:
    store = MemoryStore(new_token(12))
    box = S3Box(Raising(store, error), upload_concurrency=1)
    box.pack({"i": 0})
    with pytest.raises(S3BoxError, match=f"a task ended with {type(error).__name__}: a") as caught:
        box.seal()
    assert caught.value.__cause__ is error
    assert "seal() uploads them again" in caught.value.__notes__[0]
    box.create_manifests("manifests/m")
    assert [record["i"] for record in read_back(store).all_records()] == [0]


def test_credentials_that_end_the_process_are_an_error_of_the_upload(s3_server: Server) -> None:
    answers: list[Credentials] = []

    def credentials() -> Credentials:
        if not answers:
            answers.append(s3_server.writer())
            sys.exit("no credentials")
        return answers[0]

    settings = S3Settings(endpoint_url=s3_server.endpoint_url, region=REGION)
    store = S3Store(f"s3://{s3_server.bucket}/{new_token(12)}", settings, credentials)
    box = S3Box(store)
    box.pack({"i": 0})
    with pytest.raises(S3BoxError, match="SystemExit: no credentials"):
        box.seal()
    box.create_manifests("manifests/m")
    assert [record["i"] for record in read_back(store).all_records()] == [0]


def test_what_is_packed_while_the_box_is_sealed_is_refused_or_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread packs right after the stripes were emptied: it is too late, and gets an error."""
    store = MemoryStore(new_token(12))
    box = S3Box(store)
    packer, outcomes = box._packer, []
    gather = packer._gather

    def pack() -> None:
        try:
            box.pack({"i": 1})
            outcomes.append([0, 1])
        except BoxSealedError:
            outcomes.append([0])

    def gather_and_pack(*stripes: Any) -> None:
        gather(*stripes)
        thread = threading.Thread(target=pack)
        thread.start()
        thread.join(0.5)  # it may wait for the lock that is held here

    monkeypatch.setattr(packer, "_gather", gather_and_pack)
    box.pack({"i": 0})
    box.seal()
    monkeypatch.undo()
    box.create_manifests("manifests/m")
    while not outcomes:
        threading.Event().wait(0.01)
    assert sorted(record["i"] for record in read_back(store).all_records()) == outcomes[0]


def pack_one(box: S3Box) -> None:
    box.pack({"i": 1})


def seal(box: S3Box) -> None:
    pack_one(box)
    box.seal()


def leave_by_an_error(box: S3Box) -> None:
    pack_one(box)
    with pytest.raises(LookupError), box:
        raise LookupError


@pytest.mark.parametrize("use", [seal, leave_by_an_error, S3Box.next_box])
def test_a_box_that_nothing_is_lost_of_is_dropped_silently(use: Callable[[S3Box], Any]) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        use(S3Box("memory://dropped"))
        gc.collect()
    assert warned == []


def test_a_box_that_is_never_sealed_warns() -> None:
    with pytest.warns(ResourceWarning, match=r"S3Box\('memory://dropped', run_id=.* and never sealed: its records are"):
        pack_one(S3Box("memory://dropped"))


def test_it_warns_at_the_end_of_a_program() -> None:
    code = "from beam_s3box import S3Box; box = S3Box('memory://x'); box.pack({'i': 1})"
    done = subprocess.run([sys.executable, "-W", "default", "-c", code], capture_output=True, text=True, check=True)
    assert "never sealed: its records are lost" in done.stderr
