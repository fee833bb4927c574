"""Servers that do not know conditions or checksums: what is sent to them, and what the check says of them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.uploads import put_once
from beam_s3box.errors import ObjectChangedError, ObjectExistsError, RunExistsError, StoreError
from beam_s3box.shards.keys import Layout
from beam_s3box.sizes import MiB
from beam_s3box.stores import S3Settings, S3Store, s3_check
from beam_s3box.stores.s3_client import Connection
from tools.s3_faults import Fault, Wire, cut_off, lose_reply, reply, say, watched
from tools.seaweedfs import REGION, Server

MakeS3 = Callable[..., S3Store]
LARGE = hashlib.shake_256(b"large").digest(6 * MiB)


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def put(store: S3Store, body: bytes = b"body", **more: Any) -> int:
    return store.put("k", body, sha256=digest(body), content_type="text/plain", **more)


def headers_of(wire: Wire) -> set[str]:
    return {name.lower() for request in wire.requests for name in request.headers}


def test_without_checksums_no_request_has_one(make_s3: MakeS3) -> None:
    store = make_s3(checksums=False, multipart_bytes=5 * MiB, part_bytes=5 * MiB)
    with watched(store.client) as wire:
        put(store)
        store.delete("k")
        put(store, LARGE)
    assert {name for name in headers_of(wire) if "checksum" in name or "sdk" in name} == {
        "amz-sdk-invocation-id",
        "amz-sdk-request",
    }
    assert wire.requests[0].headers["x-amz-content-sha256"] == digest(b"body").encode()
    assert not [request for request in wire.requests if b"Checksum" in request_body(request)]
    assert store.get("k") == LARGE


def request_body(request: Any) -> bytes:
    return request.body if isinstance(request.body, bytes) else b""


@pytest.fixture
def plain(make_s3: MakeS3) -> S3Store:
    """A store that asks for no conditions."""
    return make_s3(conditional_writes=False, multipart_bytes=5 * MiB, part_bytes=5 * MiB)


def test_without_conditions_no_request_has_one(plain: S3Store) -> None:
    with watched(plain.client) as wire:
        put(plain)
        put(plain, b"other", replace=True, if_match=plain.stat("k").etag)
        put(plain, LARGE, replace=True)
        plain.delete("k", if_match=plain.stat("k").etag)
    assert not {name for name in headers_of(wire) if name.startswith("if-")}
    assert list(plain.list()) == []


def test_without_conditions_the_store_looks_first(plain: S3Store) -> None:
    put(plain)
    with watched(plain.client) as wire:
        with pytest.raises(ObjectExistsError, match="k was not sent: an object is already there"):
            put(plain, b"other")
        with pytest.raises(ObjectChangedError, match="k was not sent; it does not have the ETag 'seen', or is gone"):
            put(plain, b"other", replace=True, if_match="seen")
        with pytest.raises(ObjectChangedError, match=r"DeleteObject .*k was not sent"):
            plain.delete("k", if_match="seen")
    assert set(wire.sent) == {"HeadObject"}
    assert plain.get("k") == b"body"
    assert {plain.conditional_create, plain.conditional_replace, plain.conditional_delete} == {False}


def test_without_conditions_a_claim_is_still_one(plain: S3Store) -> None:
    one, two = (RunClaim(Layout("run"), attempt, bounded=False) for attempt in ("one", "two"))
    one.take(plain)
    one.take(plain)
    with pytest.raises(RunExistsError):
        two.take(plain)


@pytest.mark.parametrize(("is_unique", "sent"), [(True, ["PutObject"]), (False, ["HeadObject", "PutObject"])])
def test_without_conditions_a_shard_is_one_request(plain: S3Store, is_unique: bool, sent: list[str]) -> None:
    with watched(plain.client) as wire:
        put_once(plain, "k", b"body", digest(b"body"), "text/plain", is_unique=is_unique)
    assert wire.sent == sent


def test_without_conditions_a_lost_reply_is_repeated(plain: S3Store) -> None:
    with watched(plain.client) as wire:
        wire.plan("PutObject", lose_reply)
        wire.plan("CompleteMultipartUpload", lose_reply, reply(404, "NoSuchUpload"))
        assert put(plain) == 2
        plain.delete("k")
        put(plain, LARGE)
    assert plain.get("k") == LARGE


@pytest.fixture
def check_wire(s3_server: Server, request: pytest.FixtureRequest) -> Iterator[Wire]:
    """The wire of the checks' own client."""
    changed = getattr(request, "param", {})
    settings = S3Settings(REGION, s3_server.endpoint_url, connect_timeout=2.0, read_timeout=2.0, **changed)
    with watched(Connection(settings, s3_server.admin).get().client) as wire:
        yield wire


@pytest.fixture(autouse=True)
def longer_retries(monkeypatch: pytest.MonkeyPatch, no_hurry: None) -> None:
    """Let all three attempts be made, however long a busy machine takes for one."""
    monkeypatch.setattr(s3_check, "CHECK_RETRY", dataclasses.replace(s3_check.CHECK_RETRY, seconds=60.0))


STEPS = [
    "GetBucketLocation",
    "PutObject",
    "CreateMultipartUpload",
    "UploadPart",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
    "DeleteObject",
]


@pytest.mark.parametrize(
    "fault", [reply(503, "SlowDown"), reply(500, "InternalError"), cut_off], ids=["503", "500", "cut"]
)
@pytest.mark.parametrize("operation", STEPS)
def test_the_check_tries_three_times(make_s3: MakeS3, check_wire: Wire, operation: str, fault: Fault) -> None:
    check_wire.plan(operation, fault, fault)
    store = make_s3()
    store.check_writable()
    assert list(store.list()) == []


UNKNOWN = [
    ("PutObject", reply(501, "NotImplemented", "A header you provided")),
    ("PutObject", reply(400, "InvalidArgument", "Unsupported header 'x-amz-checksum-sha256'")),
    ("PutObject", say(501)),
    ("CreateMultipartUpload", reply(501, "NotImplemented", "x-amz-checksum-algorithm")),
    ("UploadPart", reply(400, "InvalidRequest")),
    ("CompleteMultipartUpload", reply(501, "NotImplemented")),
]


@pytest.mark.parametrize(("operation", "answer"), UNKNOWN)
def test_the_check_names_what_a_server_does_not_know(
    make_s3: MakeS3, check_wire: Wire, operation: str, answer: Fault
) -> None:
    check_wire.plan(operation, *[answer] * 3)
    store = make_s3()
    with pytest.raises(StoreError, match=rf"{operation} .* needs conditional_writes=False or checksums=False"):
        store.check_writable()
    assert list(store.list()) == []


def test_the_check_believes_an_object_rather_than_an_answer(make_s3: MakeS3, check_wire: Wire) -> None:
    """Some servers ignore conditions when an upload is completed, and name neither key nor location."""

    def complete(request: Any) -> Any:
        key = store.root.removeprefix("s3://box/") + "/.beam_s3box-write-check"
        store.client.put_object(Bucket="box", Key=key, Body=s3_check._IN_PARTS)
        return say(200, b"<R><ETag>e</ETag></R>")(request)

    store = make_s3()
    check_wire.plan("CompleteMultipartUpload", *[complete] * 3)
    store.check_writable()
    assert list(store.list()) == []
    check_wire.plan("CompleteMultipartUpload", *[say(200, b"<html>Log in</html>")] * 3)
    with pytest.raises(StoreError, match=r"CompleteMultipartUpload .* is no answer of S3"):
        store.check_writable()


def test_the_first_error_of_the_check_is_told(make_s3: MakeS3, check_wire: Wire, s3_server: Server) -> None:
    check_wire.plan("UploadPart", reply(501, "NotImplemented"))
    check_wire.plan("DeleteObject", *[reply(400, "Odd")] * 3)
    store = make_s3()
    with pytest.raises(StoreError, match=r"UploadPart .* NotImplemented"):
        store.check_writable()


def test_the_check_finds_a_server_that_ignores_conditions(make_s3: MakeS3, check_wire: Wire) -> None:
    check_wire.plan("PutObject", *[say(200, ETag='"e"')] * 3)
    with pytest.raises(StoreError, match="this server ignores conditions, so set conditional_writes=False"):
        make_s3().check_writable()


def test_another_check_may_remove_the_object_in_between(make_s3: MakeS3, check_wire: Wire) -> None:
    check_wire.plan("PutObject", *[say(200, ETag='"e"')] * 2, reply(412, "PreconditionFailed"))
    store = make_s3()
    store.check_writable()
    assert "AbortMultipartUpload" not in check_wire.sent, "nothing was in the way of the upload"
    assert list(store.list()) == []


@pytest.mark.parametrize("check_wire", [{"conditional_writes": False, "checksums": False}], indirect=True)
def test_the_check_sends_what_the_settings_leave(make_s3: MakeS3, check_wire: Wire) -> None:
    store = make_s3(conditional_writes=False, checksums=False)
    store.check_writable()
    assert check_wire.sent == ["GetBucketLocation", *STEPS[1:5], "DeleteObject"]
    assert not {name for name in headers_of(check_wire) if name.startswith("if-") or "checksum" in name}
    assert list(store.list()) == []


def test_a_writer_needs_no_right_to_remove(make_s3: MakeS3, check_wire: Wire) -> None:
    store = make_s3()
    for _ in range(2):
        check_wire.plan("DeleteObject", reply(403, "AccessDenied"))
        store.check_writable()
        assert [info.key for info in store.list()] == [".beam_s3box-write-check"]
    store.check_writable()
    assert list(store.list()) == []
