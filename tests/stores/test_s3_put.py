"""One object, one PUT: what is sent, and what happens when the server or the wire fails."""

from __future__ import annotations

import base64
import hashlib
import pickle
from collections.abc import Callable

import pytest

from beam_s3box.errors import AccessError, ObjectExistsError, ObjectNotFoundError, StoreError, TransientStoreError
from beam_s3box.sizes import MiB
from beam_s3box.stores import Credentials, S3Store
from tools.s3_faults import cut_off, lose_reply, replace_reply, reply, say, watched
from tools.seaweedfs import Server

MakeS3 = Callable[..., S3Store]
BODY = b"x" * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()


def put(store: S3Store, key: str = "k", replace: bool = False, sha256: str = SHA256) -> int:
    return store.put(key, BODY, sha256=sha256, content_type="application/gzip", replace=replace)


def test_sends_one_put_and_nothing_else(make_s3: MakeS3) -> None:
    store = make_s3()
    with watched(store.client) as wire:
        assert put(store) == 1
    assert wire.sent == ["PutObject"]
    headers = {name.lower(): value for name, value in wire.requests[0].headers.items()}
    assert headers["if-none-match"] == b"*"
    assert headers["x-amz-checksum-sha256"] == base64.b64encode(bytes.fromhex(SHA256))
    assert headers["content-length"] == "1000"
    assert not {"content-encoding", "transfer-encoding", "x-amz-trailer"} & set(headers)


@pytest.mark.parametrize(("size", "asks"), [(0, False), (8 * MiB, False), (8 * MiB + 1, True)])
def test_only_a_large_body_asks_first_whether_it_is_wanted(make_s3: MakeS3, size: int, asks: bool) -> None:
    store, body = make_s3(), bytes(size)
    with watched(store.client) as wire:
        store.put("k", body, sha256=hashlib.sha256(body).hexdigest(), content_type="text/plain")
    assert ("Expect" in wire.requests[0].headers) is asks
    assert store.stat("k").size == size


def test_replacing_has_no_condition(make_s3: MakeS3) -> None:
    store = make_s3()
    with watched(store.client) as wire:
        put(store, replace=True)
    assert wire.sent == ["PutObject"]
    assert "If-None-Match" not in wire.requests[0].headers


def test_keeps_type_and_checksum(make_s3: MakeS3, s3_server: Server) -> None:
    store = make_s3()
    put(store)
    head = s3_server.client().head_object(Bucket=s3_server.bucket, Key=store.url("k").removeprefix("s3://box/"))
    assert head["ContentType"] == "application/gzip"
    assert head["Metadata"] == {"sha256": SHA256}
    assert "ContentEncoding" not in head


def test_sends_what_the_settings_ask_for(make_s3: MakeS3) -> None:
    store = make_s3(
        sse="aws:kms", sse_kms_key_id="alias/k", storage_class="STANDARD_IA", acl="private", tags={"a b": "ä&c"}
    )
    with watched(store.client) as wire:
        wire.plan("PutObject", say(200, ETag='"e"'))
        put(store)
    headers = wire.requests[0].headers
    assert headers["x-amz-server-side-encryption"] == b"aws:kms"
    assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == b"alias/k"
    assert headers["x-amz-storage-class"] == b"STANDARD_IA"
    assert headers["x-amz-acl"] == b"private"
    assert headers["x-amz-tagging"] == b"a+b=%C3%A4%26c"


def test_the_server_checks_the_bytes(make_s3: MakeS3, pauses: list[float]) -> None:
    store = make_s3()
    with pytest.raises(
        StoreError, match=r"PutObject s3://\S+/k failed after 3 attempts: BadDigest \(400\): the bytes that arrived"
    ):
        put(store, sha256=hashlib.sha256(b"other").hexdigest())
    assert pauses == [0.25, 0.5]
    assert list(store.list()) == []


def test_waits_while_the_server_is_busy(make_s3: MakeS3, pauses: list[float]) -> None:
    store = make_s3()
    with watched(store.client) as wire:
        wire.plan("PutObject", reply(503, "SlowDown"), reply(500, "InternalError"), cut_off, reply(429))
        assert put(store) == 5
    assert wire.sent == ["PutObject"] * 5
    assert pauses == [0.25, 0.5, 1.0, 2.0]
    assert store.get("k") == BODY


def test_gives_up_in_the_end(make_s3: MakeS3, pauses: list[float]) -> None:
    store = make_s3(url="s3://box/busy", max_attempts=8)
    with watched(store.client) as wire:
        wire.plan("PutObject", *[reply(503, "SlowDown", "Please reduce\n your request rate.")] * 9)
        with pytest.raises(TransientStoreError) as caught:
            put(store)
    assert str(caught.value) == (
        "PutObject s3://box/busy/k failed after 8 attempts: SlowDown (503): Please reduce your request rate."
    )
    assert len(wire.sent) == 8
    assert len(pauses) == 7


def test_stops_at_an_error_that_stays(make_s3: MakeS3) -> None:
    store = make_s3(url="s3://box/denied")
    with watched(store.client) as wire:
        wire.plan("PutObject", reply(503, "SlowDown"), reply(403, "AccessDenied", "Access Denied"))
        with pytest.raises(AccessError) as caught:
            put(store)
    assert str(caught.value) == (
        "PutObject s3://box/denied/k failed after 2 attempts: AccessDenied (403): these credentials may not do this: "
        "allow it for them, or use others: Access Denied"
    )
    assert len(wire.sent) == 2


def test_a_lost_reply_shows_as_an_object_that_exists(make_s3: MakeS3) -> None:
    """The caller compares: the store can't distinguish its own object from another's without asking."""
    store = make_s3()
    with watched(store.client) as wire:
        wire.plan("PutObject", lose_reply)
        with pytest.raises(ObjectExistsError, match=r"failed after 2 attempts: PreconditionFailed \(412\)"):
            put(store)
    assert wire.sent == ["PutObject"] * 2
    assert store.stat("k").sha256 == SHA256


def test_a_lost_reply_does_not_harm_a_replacement(make_s3: MakeS3) -> None:
    store = make_s3()
    with watched(store.client) as wire:
        wire.plan("PutObject", lose_reply)
        assert put(store, replace=True) == 2
    assert store.get("k") == BODY


def test_a_write_whose_replies_are_replaced_is_found(make_s3: MakeS3) -> None:
    store = make_s3()
    with watched(store.client) as wire:
        wire.plan("PutObject", *[replace_reply] * 3)
        assert put(store, replace=True) == 1
    assert wire.sent == ["PutObject"] * 3 + ["HeadObject"]
    assert store.get("k") == BODY


def test_tries_again_after_a_race(make_s3: MakeS3) -> None:
    store = make_s3()
    with watched(store.client) as wire:
        wire.plan("PutObject", reply(409, "ConditionalRequestConflict"))
        assert put(store) == 2


def test_reads_again_what_broke_off(make_s3: MakeS3, pauses: list[float]) -> None:
    store = make_s3()
    put(store)
    with watched(store.client) as wire:
        for operation in ("GetObject", "HeadObject", "ListObjectsV2", "DeleteObject"):
            wire.plan(operation, cut_off, reply(503))
        assert store.get("k") == BODY
        assert store.stat("k").size == 1000
        assert [info.key for info in store.list()] == ["k"]
        store.delete("k")
    assert len(wire.sent) == 12
    assert list(store.list()) == []


def test_lists_page_by_page(make_s3: MakeS3) -> None:
    store = make_s3()
    for number in range(5):
        put(store, f"k{number}")
    events = store.client.meta.events

    def two_a_page(params: dict[str, object], **_: object) -> None:
        params["MaxKeys"] = 2

    events.register("provide-client-params.s3.ListObjectsV2", two_a_page)
    try:
        with watched(store.client) as wire:
            wire.plan("ListObjectsV2", *[reply(503, "SlowDown")])
            assert [info.key for info in store.list("k")] == ["k0", "k1", "k2", "k3", "k4"]
    finally:
        events.unregister("provide-client-params.s3.ListObjectsV2", two_a_page)
    assert len(wire.sent) == 4


def test_a_missing_bucket_says_what_to_do(make_s3: MakeS3, s3_server: Server) -> None:
    store = make_s3(s3_server.reader, "s3://no-such-bucket/x")
    with pytest.raises(ObjectNotFoundError) as caught:
        store.get("k")
    assert str(caught.value) == (
        "GetObject s3://no-such-bucket/x/k failed after 1 attempt: NoSuchBucket (404): no such bucket: create it or correct the "
        "destination"
    )


def test_equal_stores_share_a_client_and_others_do_not(make_s3: MakeS3, s3_server: Server) -> None:
    store = make_s3()
    again: S3Store = pickle.loads(pickle.dumps(store.__class__(store.root, store._settings, s3_server.admin)))
    assert again.client is store.client
    assert make_s3(s3_server.writer).client is not store.client
    assert make_s3(read_timeout=7).client is not store.client


def test_the_same_function_with_other_keys_gives_another_client(make_s3: MakeS3) -> None:
    keys = iter([Credentials("first", "a"), Credentials("second", "b"), Credentials("first", "a")])
    first, second, again = (make_s3(lambda: next(keys)) for _ in range(3))
    assert first.client is not second.client
    assert again.client is first.client
    assert first.client is first.client


def keys_of_the_worker() -> Credentials:
    return Credentials("AKIAIOSFODNN7EXAMPLE", "very-secret-key", "very-secret-token")


def test_no_secret_is_in_a_repr_or_a_pickle(make_s3: MakeS3) -> None:
    store = S3Store("s3://bucket/x", credentials=keys_of_the_worker)
    assert store.client.meta.service_model.service_name == "s3"
    for shown in (repr(store), repr(pickle.dumps(store)), repr(vars(store)), repr(keys_of_the_worker())):
        assert "very-secret" not in shown
        assert "AKIAIOSFODNN7" not in shown
    assert repr(keys_of_the_worker()) == "Credentials(…MPLE)"
