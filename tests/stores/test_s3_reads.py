"""Objects read by parts: each answer is checked, and what does not fit is another attempt or an error, never an end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from beam_s3box.errors import StoreError
from beam_s3box.stores import S3Settings, S3Store
from beam_s3box.stores.s3_reads import ObjectReader, ObjectReplacedError
from tools.s3_faults import Fault, reply, say, watched
from tools.seaweedfs import REGION, Server

MakeS3 = Callable[..., S3Store]

BODY = bytes(range(200)) * 5
DATED = {"ETag": '"e"', "Last_Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
INVALID: dict[str, Fault] = {
    # it would pass for the whole object, and the rest of it be missing
    "206 without a range": say(206, BODY[:400], **DATED),
    "another part": say(206, BODY[:400], **DATED, Content_Range="bytes 400-799/1000"),
    "less than was asked for": say(206, BODY[:100], **DATED, Content_Range="bytes 0-99/1000"),
    "more than was asked for": say(206, BODY[:500], **DATED, Content_Range="bytes 0-499/1000"),
    "the whole object": say(200, BODY, **DATED),
    "HTML": say(200, b"<html><body>Log in</body></html>", Content_Type="text/html"),
    "nothing": say(200),
    "204": say(204),
    "503": reply(503, "SlowDown"),
}


def stored(store: S3Store, body: bytes = BODY) -> ObjectReader:
    store.put("k", body, sha256=hashlib.sha256(body).hexdigest(), content_type="text/plain")
    return ObjectReader(store.requests, store.root.removeprefix("s3://box/") + "/k")


def all_of(reader: ObjectReader, size: int = 400) -> bytes:
    parts = []
    while part := reader.read(size):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("kind", INVALID)
def test_an_invalid_response_is_tried_again(make_s3: MakeS3, kind: str) -> None:
    store = make_s3()
    reader = stored(store)
    with watched(store.client) as wire:
        wire.plan("GetObject", INVALID[kind])
        assert all_of(reader) == BODY
    assert wire.sent == ["GetObject"] * 4


@pytest.mark.parametrize("kind", [kind for kind in INVALID if kind != "503"])
def test_a_server_that_never_answers_as_s3_is_an_error(make_s3: MakeS3, kind: str) -> None:
    store = make_s3()
    reader = stored(store)
    with watched(store.client) as wire:
        wire.plan("GetObject", *[INVALID[kind]] * 5)
        with pytest.raises(StoreError, match="this is no answer of S3"):
            all_of(reader)


def test_a_server_that_knows_no_ranges_is_read_where_the_whole_object_is_asked_for(make_s3: MakeS3) -> None:
    store = make_s3()
    reader = stored(store)
    with watched(store.client) as wire:
        wire.plan("GetObject", say(200, BODY, **DATED))
        assert all_of(reader, 4000) == BODY


def test_a_listing_goes_on_behind_its_first_page(make_s3: MakeS3) -> None:
    store = make_s3()
    keys = [f"page/{number}" for number in range(5)]
    for key in keys:
        store.put(key, b"x", sha256=hashlib.sha256(b"x").hexdigest(), content_type="text/plain")
    store.client.meta.events.register(
        "before-parameter-build.s3.ListObjectsV2", lambda params, **_: params.update(MaxKeys=2)
    )
    with watched(store.client) as wire:
        assert [info.key for info in store.list("page/")] == keys
    assert wire.sent == ["ListObjectsV2"] * 3


@pytest.mark.parametrize("body", [b"", b"x"])
def test_small_objects(make_s3: MakeS3, body: bytes) -> None:
    reader = stored(make_s3(), body)
    assert reader.version().size == len(body)
    if body:
        assert all_of(reader) == body


@pytest.mark.parametrize("no", [reply(412, "PreconditionFailed"), say(412)], ids=["with a code", "without one"])
def test_another_version_is_told(make_s3: MakeS3, no: Fault) -> None:
    store = make_s3()
    reader = stored(store)
    assert reader.read(400) == BODY[:400]
    with watched(store.client) as wire:
        wire.plan("GetObject", no)
        with pytest.raises(ObjectReplacedError):
            reader.read(400)


def test_an_invalid_head_is_an_error_of_ours(make_s3: MakeS3) -> None:
    store = make_s3()
    reader = stored(store)
    with watched(store.client) as wire:
        wire.plan("HeadObject", *[say(200)] * 5)
        with pytest.raises(StoreError, match="this is no answer of S3"):
            reader.version()


def test_keys_that_expire_between_two_parts_are_asked_for_again(make_s3: MakeS3, s3_server: Server) -> None:
    identities = iter([s3_server.writer, s3_server.admin])
    store = make_s3()
    stored(store)
    again = S3Store(
        store.root, S3Settings(region=REGION, endpoint_url=s3_server.endpoint_url), lambda: next(identities)()
    )
    reader = ObjectReader(again.requests, store.root.removeprefix("s3://box/") + "/k")
    assert reader.read(400) == BODY[:400]
    with watched(again.client) as wire:
        wire.plan("GetObject", reply(400, "ExpiredToken"))
        assert all_of(reader) == BODY[400:]
    assert next(identities, None) is None
