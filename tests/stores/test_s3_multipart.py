"""A large object in parts: whole or not at all, and nothing left of an upload that failed."""

from __future__ import annotations

import hashlib
import pathlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from beam_s3box.errors import AccessError, ObjectExistsError, ObjectNotFoundError, StoreError, TransientStoreError
from beam_s3box.sizes import MiB
from beam_s3box.stores import S3Store
from tools.s3_faults import cut_off, interrupt, lose_reply, reply, watched
from tools.seaweedfs import Server

MakeS3 = Callable[..., S3Store]
BODY = hashlib.shake_256(b"body").digest(MiB) * 11 + b"the end"
SHA256 = hashlib.sha256(BODY).hexdigest()
PARTS = 3
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def store(make_s3: MakeS3) -> S3Store:
    return make_s3(multipart_bytes=1000, part_bytes=5 * MiB, concurrency=4)


@pytest.fixture(autouse=True)
def no_upload_is_left(s3_server: Server) -> Iterator[None]:
    yield
    # others may have been left by processes that tests killed
    left = s3_server.client().list_multipart_uploads(Bucket=s3_server.bucket).get("Uploads", [])
    assert not [upload for upload in left if upload["Key"].endswith("big")]


def put(store: S3Store, body: bytes = BODY, replace: bool = False) -> int:
    sha256 = hashlib.sha256(body).hexdigest()
    return store.put("big", body, sha256=sha256, content_type="application/gzip", replace=replace)


def test_uploads_in_parts(store: S3Store) -> None:
    with watched(store.client) as wire:
        assert put(store) == 1
    assert wire.sent == ["CreateMultipartUpload", *["UploadPart"] * PARTS, "CompleteMultipartUpload"]
    assert store.get("big") == BODY
    info = store.stat("big")
    assert (info.size, info.sha256) == (len(BODY), SHA256)


def test_small_objects_stay_whole(store: S3Store) -> None:
    with watched(store.client) as wire:
        put(store, b"x" * 1000)
    assert wire.sent == ["PutObject"]


def test_parts_go_side_by_side_and_show_nothing_before_the_end(store: S3Store) -> None:
    together = threading.Barrier(PARTS, timeout=120)
    seen: list[Any] = []

    def meet(request: Any) -> None:
        together.wait()

    def look(request: Any) -> None:
        seen.append(list(store.list()))
        with pytest.raises(ObjectNotFoundError):
            store.get("big")

    with watched(store.client) as wire:
        wire.plan("UploadPart", *[meet] * PARTS)
        wire.plan("CompleteMultipartUpload", look)
        put(store)
    assert seen == [[]]


def test_never_overwrites_unless_asked(store: S3Store) -> None:
    put(store, b"first" * 1000)
    with pytest.raises(
        ObjectExistsError, match=r"CompleteMultipartUpload \S+/big failed after 1 attempt: PreconditionFailed \(412\)"
    ):
        put(store)
    assert store.get("big") == b"first" * 1000
    put(store, replace=True)
    assert store.get("big") == BODY


def test_repeats_single_requests(store: S3Store) -> None:
    with watched(store.client) as wire:
        wire.plan("CreateMultipartUpload", reply(503, "SlowDown"))
        wire.plan("UploadPart", cut_off, reply(500, "InternalError"))
        wire.plan("CompleteMultipartUpload", reply(503, "SlowDown"))
        assert put(store) == 5
    assert store.get("big") == BODY


def test_a_part_that_can_t_be_sent_ends_the_upload(store: S3Store) -> None:
    with watched(store.client) as wire:
        wire.plan("UploadPart", reply(403, "AccessDenied"))
        with pytest.raises(AccessError, match=r"UploadPart s3://\S+/big failed after 1 attempt: AccessDenied \(403\)"):
            put(store)
    assert wire.sent[-1] == "AbortMultipartUpload"
    assert list(store.list()) == []


def test_a_busy_server_ends_the_upload_after_the_last_attempt(make_s3: MakeS3) -> None:
    store = make_s3(multipart_bytes=1000, part_bytes=5 * MiB, concurrency=1, max_attempts=3)
    with watched(store.client) as wire:
        wire.plan("UploadPart", *[reply(503, "SlowDown")] * 3)
        with pytest.raises(TransientStoreError, match=r"UploadPart \S+/big failed after 3 attempts: SlowDown \(503\)"):
            put(store)
    assert wire.sent == ["CreateMultipartUpload", *["UploadPart"] * 3, "AbortMultipartUpload"]


def test_ctrl_c_leaves_nothing(store: S3Store) -> None:
    with watched(store.client) as wire:
        wire.plan("CompleteMultipartUpload", interrupt)
        with pytest.raises(KeyboardInterrupt):
            put(store)
    assert wire.sent[-1] == "AbortMultipartUpload"
    assert list(store.list()) == []


def test_an_abort_that_fails_does_not_hide_the_first_error(store: S3Store, s3_server: Server) -> None:
    with watched(store.client) as wire:
        wire.plan("UploadPart", reply(403, "AccessDenied"))
        wire.plan("AbortMultipartUpload", reply(403, "AccessDenied", "no right to abort"))
        with pytest.raises(AccessError, match="UploadPart") as caught:
            put(store)
    (note,) = caught.value.__notes__
    assert note.startswith("its parts may be left, which are billed until they are removed: AbortMultipartUpload")
    client = s3_server.client()
    for left in client.list_multipart_uploads(Bucket=s3_server.bucket)["Uploads"]:
        client.abort_multipart_upload(Bucket=s3_server.bucket, Key=left["Key"], UploadId=left["UploadId"])


GONE = reply(404, "NoSuchUpload", "The upload does not exist")


def test_a_lost_completion_shows_as_an_object_that_exists(store: S3Store) -> None:
    with watched(store.client) as wire:
        wire.plan("CompleteMultipartUpload", lose_reply, GONE)
        with pytest.raises(ObjectExistsError, match=r"CompleteMultipartUpload \S+/big failed after 2 attempts: NoSuch"):
            put(store)
    assert store.stat("big").sha256 == SHA256


def test_a_lost_completion_of_a_replacement_is_found_out(store: S3Store) -> None:
    with watched(store.client) as wire:
        wire.plan("CompleteMultipartUpload", lose_reply, GONE)
        assert put(store, replace=True) == 2
        wire.plan("CompleteMultipartUpload", cut_off, GONE)
        with pytest.raises(StoreError, match="NoSuchUpload"):
            put(store, BODY + b"other", replace=True)
    assert store.get("big") == BODY


def test_an_upload_that_somebody_removed_is_an_error(store: S3Store) -> None:
    with watched(store.client) as wire:
        wire.plan("CompleteMultipartUpload", GONE)
        with pytest.raises(StoreError, match="the upload was completed or aborted") as caught:
            put(store)
    assert not isinstance(caught.value, ObjectExistsError)


CONFLICT = reply(409, "ConditionalRequestConflict", "try again")


def test_a_race_begins_a_new_upload(store: S3Store, pauses: list[float]) -> None:
    with watched(store.client) as wire:
        wire.plan("CompleteMultipartUpload", CONFLICT)
        assert put(store) == 2
    once = ["CreateMultipartUpload", *["UploadPart"] * PARTS, "CompleteMultipartUpload"]
    assert wire.sent == [*once, "AbortMultipartUpload", *once]
    assert pauses == [0.25]
    assert store.get("big") == BODY


def test_races_come_to_an_end(make_s3: MakeS3) -> None:
    store = make_s3(multipart_bytes=1000, max_attempts=2)
    with watched(store.client) as wire:
        wire.plan("CompleteMultipartUpload", CONFLICT, CONFLICT)
        with pytest.raises(TransientStoreError, match=r"failed after 2 attempts: ConditionalRequestConflict \(409\)"):
            put(store)
    assert wire.sent.count("CreateMultipartUpload") == 2


def test_the_server_checks_each_part(store: S3Store) -> None:
    def spoil(request: Any) -> None:
        request.body = b"other bytes of the same length".ljust(len(BODY) - 10 * MiB, b"!")
        request.headers["Content-Length"] = str(len(request.body))

    with watched(store.client) as wire:
        wire.plan("UploadPart", *[spoil] * 9)
        with pytest.raises(StoreError, match=r"UploadPart \S+ failed after 3 attempts: \w+ \(400\)"):
            put(store)
    assert list(store.list()) == []


def test_a_server_that_is_gone_is_not_waited_for_twice(make_s3: MakeS3, pauses: list[float], s3_server: Server) -> None:
    store = make_s3(multipart_bytes=1000, retry_seconds=100)
    with watched(store.client) as wire:
        wire.plan("UploadPart", *[cut_off] * 100)
        wire.plan("AbortMultipartUpload", *[cut_off] * 100)
        with pytest.raises(TransientStoreError, match="UploadPart") as caught:
            put(store)
    assert 100 <= sum(pauses) <= 111
    assert "parts may be left" in caught.value.__notes__[0]
    client = s3_server.client()
    for left in client.list_multipart_uploads(Bucket=s3_server.bucket)["Uploads"]:
        client.abort_multipart_upload(Bucket=s3_server.bucket, Key=left["Key"], UploadId=left["UploadId"])


def test_needs_no_thread(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of a process, or where it may have no more, none can be started."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert put(store) == 1
    assert store.get("big") == BODY


def test_uploads_when_the_process_ends(s3_server: Server, tmp_path: pathlib.Path) -> None:
    place = [
        s3_server.endpoint_url,
        s3_server.admin.access_key,
        s3_server.admin.secret_key,
        f"s3://box/{tmp_path.name}",
    ]
    command = [sys.executable, "-c", AT_EXIT, *place]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert (done.returncode, done.stdout, done.stderr) == (0, "12582912 12582912\n", "")


AT_EXIT = """
import atexit, hashlib, sys, threading
from beam_s3box.sizes import MiB
from beam_s3box.stores import Credentials, S3Settings, S3Store

url, key, secret, place = sys.argv[1:]
settings = S3Settings("us-east-1", url, multipart_bytes=5 * MiB, part_bytes=5 * MiB)
store = S3Store(place, settings, lambda: Credentials(key, secret))
body = bytes(12 * MiB)

def upload(name):
    store.put(name, body, sha256=hashlib.sha256(body).hexdigest(), content_type="text/plain")

def late():
    threading.main_thread().join()
    upload("thread")

def at_exit():
    upload("exit")
    print(*[info.size for info in store.list()], flush=True)

threading.Thread(target=late).start()
atexit.register(at_exit)
"""
