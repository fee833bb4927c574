"""Fenced writes and deletes on S3, and what became of them when the reply was lost."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

import pytest

from beam_s3box.errors import ObjectChangedError, ObjectNotFoundError
from beam_s3box.sizes import MiB
from beam_s3box.stores import S3Store
from tools.s3_faults import cut_off, lose_reply, reply, watched

MakeS3 = Callable[..., S3Store]


def put(store: S3Store, body: bytes, if_match: str | None = None) -> int:
    sha256 = hashlib.sha256(body).hexdigest()
    return store.put("k", body, sha256=sha256, content_type="text/plain", replace=True, if_match=if_match)


@pytest.fixture
def store(make_s3: MakeS3) -> S3Store:
    store = make_s3(part_bytes=5 * MiB, multipart_bytes=6 * MiB)
    put(store, b"first")
    return store


def test_a_fenced_write_is_one_request(store: S3Store) -> None:
    seen = store.stat("k").etag
    with watched(store.client) as wire:
        put(store, b"second", seen)
    assert wire.sent == ["PutObject"]
    assert wire.requests[0].headers["If-Match"] == f'"{seen}"'.encode()


def test_a_fenced_write_whose_reply_is_lost(store: S3Store) -> None:
    seen = store.stat("k").etag
    with watched(store.client) as wire:
        wire.plan("PutObject", lose_reply)
        put(store, b"second", seen)
    assert wire.sent == ["PutObject", "PutObject", "HeadObject"]
    assert store.get("k") == b"second"


def test_a_fenced_write_in_parts(store: S3Store) -> None:
    seen, body = store.stat("k").etag, os.urandom(7 * MiB)
    put(store, body, seen)
    assert store.get("k") == body
    with pytest.raises(ObjectChangedError, match="CompleteMultipartUpload"):
        put(store, os.urandom(7 * MiB), seen)
    assert store.get("k") == body
    (listed,) = store.list()
    assert listed.etag == store.stat("k").etag


@pytest.mark.parametrize("code", ["NoSuchKey", "PreconditionFailed"])
def test_there_may_be_no_object(store: S3Store, code: str) -> None:
    """AWS says 404 of it, others 412."""
    store.delete("k")
    with watched(store.client) as wire:
        wire.plan("PutObject", reply({"NoSuchKey": 404, "PreconditionFailed": 412}[code], code))
        with pytest.raises(ObjectChangedError, match=rf"{code} .*it does not have the ETag 'seen', or is gone"):
            put(store, b"second", "seen")
    assert list(store.list()) == []


def test_a_missing_bucket_is_no_changed_object(make_s3: MakeS3) -> None:
    store = make_s3()
    with watched(store.client) as wire:
        for operation in ("PutObject", "DeleteObject"):
            wire.plan(operation, reply(404, "NoSuchBucket"))
        with pytest.raises(ObjectNotFoundError, match="no such bucket"):
            put(store, b"second", "seen")
        with pytest.raises(ObjectNotFoundError, match="no such bucket"):
            store.delete("k", if_match="seen")


def test_a_conflict_is_repeated(store: S3Store) -> None:
    seen = store.stat("k").etag
    with watched(store.client) as wire:
        wire.plan("PutObject", reply(409, "ConditionalRequestConflict"))
        assert put(store, b"second", seen) == 2
        seen = store.stat("k").etag
        wire.plan("DeleteObject", reply(409, "ConditionalRequestConflict"))
        store.delete("k", if_match=seen)
    assert list(store.list()) == []


def test_a_fenced_delete_whose_reply_is_lost(store: S3Store) -> None:
    seen = store.stat("k").etag
    with watched(store.client) as wire:
        wire.plan("DeleteObject", lose_reply)
        store.delete("k", if_match=seen)
    assert wire.sent == ["DeleteObject", "DeleteObject", "HeadObject"]
    assert list(store.list()) == []


def test_a_delete_of_what_is_gone_may_be_told_so(store: S3Store) -> None:
    with watched(store.client) as wire:
        wire.plan("DeleteObject", reply(404, "NoSuchKey"))
        store.delete("k", if_match="seen")
    assert wire.sent == ["DeleteObject"]


def test_the_clock_is_the_servers_and_asked_for_once(make_s3: MakeS3) -> None:
    store = make_s3(read_timeout=63)  # stores that share a client share its clock
    with watched(store.client) as wire:
        wire.plan("HeadObject", cut_off)
        store.now()
        store.now()
    assert wire.sent == ["HeadObject", "HeadObject"]
