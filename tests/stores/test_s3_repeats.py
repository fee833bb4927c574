"""What is worth another attempt: a table, one test a row; and what is done before it."""

from __future__ import annotations

import email.utils
import hashlib
import itertools
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from beam_s3box.errors import AccessError, ObjectExistsError, StoreError, TransientStoreError
from beam_s3box.sizes import MiB
from beam_s3box.stores import Credentials, S3Settings, S3Store
from beam_s3box.stores.retries import Retry
from tools.s3_faults import Fault, cut_off, cut_within, lose_reply, reply, say, watched
from tools.seaweedfs import REGION, Server

MakeS3 = Callable[..., S3Store]
BODY = b"x" * 1000
EVER = 8
"""Attempts that are made at what is repeated for as long as there is time."""

Row = tuple[str, Fault, int, type[StoreError]]
ROWS: list[Row] = [
    ("IncompleteBody", reply(400, "IncompleteBody"), EVER, TransientStoreError),
    ("RequestTimeout", reply(400, "RequestTimeout"), EVER, TransientStoreError),
    ("InternalError", reply(500, "InternalError"), EVER, TransientStoreError),
    ("InternalError in a 200", reply(200, "InternalError"), EVER, TransientStoreError),
    ("SlowDown in a 200", reply(200, "SlowDown"), EVER, TransientStoreError),
    ("SlowDown", reply(503, "SlowDown"), EVER, TransientStoreError),
    ("429", reply(429), EVER, TransientStoreError),
    ("408", reply(408), EVER, TransientStoreError),
    ("OperationAborted", reply(409, "OperationAborted"), EVER, TransientStoreError),
    ("ConditionalRequestConflict", reply(409, "ConditionalRequestConflict"), EVER, TransientStoreError),
    ("a reset", cut_off, EVER, TransientStoreError),
    ("a reset half way", cut_within, EVER, TransientStoreError),
    ("BadDigest", reply(400, "BadDigest"), 3, StoreError),
    ("XAmzContentSHA256Mismatch", reply(400, "XAmzContentSHA256Mismatch"), 3, StoreError),
    ("InvalidDigest", reply(400, "InvalidDigest"), 3, StoreError),
    ("an invalid response", say(200), 3, StoreError),
    ("a page to log in", say(200, b"<!DOCTYPE html><html>Log in<br></html>"), 3, StoreError),
    ("JSON", say(200, b'{"ok": true}'), 3, StoreError),
    ("RequestTimeTooSkewed", reply(403, "RequestTimeTooSkewed"), 2, AccessError),
    ("RequestExpired", reply(403, "RequestExpired"), 2, AccessError),
    ("AccessDenied", reply(403, "AccessDenied"), 1, AccessError),
    ("SignatureDoesNotMatch", reply(403, "SignatureDoesNotMatch"), 1, AccessError),
    ("InvalidArgument", reply(400, "InvalidArgument"), 1, StoreError),
    ("412", reply(412, "PreconditionFailed"), 1, ObjectExistsError),
    ("304", say(304), 1, ObjectExistsError),
]


def put(store: S3Store, key: str = "k", body: bytes = BODY) -> int:
    return store.put(key, body, sha256=hashlib.sha256(body).hexdigest(), content_type="text/plain")


@pytest.mark.parametrize(("fault", "attempts", "kind"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_what_stays_ends_after_so_many_attempts(make_s3: MakeS3, fault: Fault, attempts: int, kind: type) -> None:
    store = make_s3(max_attempts=EVER)
    with watched(store.client) as wire:
        wire.plan("PutObject", *[fault] * EVER)
        with pytest.raises(kind) as caught:
            put(store)
    assert wire.sent.count("PutObject") == attempts
    assert issubclass(type(caught.value), kind)
    assert issubclass(type(caught.value), TransientStoreError) == (kind is TransientStoreError)


PASSING = [row for row in ROWS if row[2] > 1]


@pytest.mark.parametrize("fault", [row[1] for row in PASSING], ids=[row[0] for row in PASSING])
def test_what_passes_costs_one_attempt(make_s3: MakeS3, fault: Fault) -> None:
    store = make_s3()
    with watched(store.client) as wire:
        wire.plan("PutObject", fault)
        assert put(store) == 2
    assert store.get("k") == BODY


LARGE = hashlib.shake_256(b"large").digest(11 * MiB)


@pytest.mark.parametrize("checksums", [True, False])
@pytest.mark.parametrize(
    "fault", [*[row[1] for row in PASSING], lose_reply], ids=[*[row[0] for row in PASSING], "a lost reply"]
)
def test_a_part_is_sent_whole_again(make_s3: MakeS3, fault: Fault, checksums: bool) -> None:
    store = make_s3(multipart_bytes=1000, part_bytes=5 * MiB, checksums=checksums)
    with watched(store.client) as wire:
        wire.plan("UploadPart", fault)
        put(store, body=LARGE)
    assert wire.sent.count("UploadPart") == 4
    assert store.get("k") == LARGE


def test_older_minio_says_304_of_what_exists(make_s3: MakeS3) -> None:
    store = make_s3()
    with watched(store.client) as wire:
        wire.plan("PutObject", lose_reply, say(304))
        with pytest.raises(ObjectExistsError, match="304: an object is already there"):
            put(store)
    assert store.get("k") == BODY


class Outage:
    """A server that is down until so many seconds have been waited."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.waited = 0.0

    def sleep(self, seconds: float) -> None:
        self.waited += seconds

    def __call__(self, request: Any) -> None:
        if self.waited < self.seconds:
            cut_off(request)


@pytest.mark.parametrize("seed", range(12))
def test_an_outage_of_half_a_minute_costs_nothing_but_time(s3_server: Server, seed: int) -> None:
    outage = Outage(30.0)
    settings = S3Settings(REGION, s3_server.endpoint_url)
    retry = Retry(
        settings.max_attempts,
        sleep=outage.sleep,
        random=random.Random(seed).random,
        seconds=settings.retry_seconds,
        clock=lambda: outage.waited,
    )
    store = S3Store(f"s3://box/outage/{seed}", settings, s3_server.admin, retry)
    with watched(store.client) as wire:
        wire.plan("PutObject", *[outage] * 100)
        put(store)
    assert 30 <= outage.waited <= 50
    assert store.get("k") == BODY


def test_an_outage_that_lasts_ends_with_the_time(make_s3: MakeS3, pauses: list[float]) -> None:
    store = make_s3(retry_seconds=50)
    with watched(store.client) as wire:
        wire.plan("PutObject", *[cut_off] * 100)
        with pytest.raises(TransientStoreError, match=r"failed after 9 attempts"):
            put(store)
    assert sum(pauses) == 50
    assert pauses == [0.25, 0.5, 1, 2, 4, 8, 16, 18.25]


def test_a_store_takes_the_time_from_its_settings(s3_server: Server) -> None:
    store = S3Store("s3://box/x", S3Settings(retry_seconds=7, max_attempts=9))
    assert (store._retry.seconds, store._retry.max_attempts) == (7, 9)


SKEWED = b"<Error><Code>RequestTimeTooSkewed</Code><Message>on purpose</Message></Error>"


def test_a_wrong_clock_is_put_right_by_the_servers(make_s3: MakeS3) -> None:
    """The server's clock is five minutes ahead, which a real one takes, so that it checks the signature."""
    ahead = time.time() + 300
    store = make_s3(read_timeout=61)
    with watched(store.client) as wire:
        wire.plan("PutObject", say(403, SKEWED, Date=email.utils.formatdate(ahead, usegmt=True)))
        assert put(store) == 2
    first, second = (
        time.mktime(time.strptime(request.headers["X-Amz-Date"].decode(), "%Y%m%dT%H%M%SZ")) - time.timezone
        for request in wire.requests
    )
    assert abs(second - first - 300) < 30
    assert store.get("k") == BODY


class Keys:
    """Gives the server's keys after so many others, and counts how often it is asked."""

    def __init__(self, server: Server, others: int) -> None:
        self.asked = 0
        self._server, self._others = server, others

    def __call__(self) -> Credentials:
        self.asked += 1
        if self.asked <= self._others:
            return Credentials(f"old-{id(self)}-{self.asked}", "old-secret-key", "old-token")
        return self._server.admin()


EXPIRED = [
    reply(400, "ExpiredToken"),
    reply(400, "TokenRefreshRequired"),
    reply(400, "InvalidToken"),
    reply(403, "InvalidAccessKeyId"),
]


@pytest.mark.parametrize("expired", EXPIRED)
def test_expired_keys_are_asked_for_again(make_s3: MakeS3, s3_server: Server, expired: Fault) -> None:
    keys = Keys(s3_server, others=1)
    store = make_s3(keys)
    with watched(store.client) as wire:
        wire.plan("PutObject", expired)
        assert put(store) == 2
    assert keys.asked == 2
    assert store.get("k") == BODY
    assert keys.asked == 2


def test_expired_keys_show_in_a_head_as_400(make_s3: MakeS3, s3_server: Server) -> None:
    put(make_s3(url="s3://box/head-400"))
    keys = Keys(s3_server, others=1)
    store = make_s3(keys, url="s3://box/head-400")
    with watched(store.client) as wire:
        wire.plan("HeadObject", say(400))
        assert store.stat("k").size == 1000
    assert keys.asked == 2


def test_the_same_keys_again_are_not_tried_again(make_s3: MakeS3) -> None:
    keys = Credentials("the-same-key", "old-secret-key")
    asked = itertools.count()

    def find() -> Credentials:
        next(asked)
        return keys

    store = make_s3(find)
    with watched(store.client) as wire:
        wire.plan("PutObject", reply(400, "ExpiredToken"))
        with pytest.raises(AccessError, match="failed after 1 attempt: ExpiredToken"):
            put(store)
    assert next(asked) == 2


def test_many_threads_ask_once(make_s3: MakeS3, s3_server: Server) -> None:
    keys = Keys(s3_server, others=1)
    store = make_s3(keys)
    together = threading.Barrier(4, timeout=120)

    def expire(request: Any) -> Any:
        together.wait()
        return reply(400, "ExpiredToken")(request)

    with watched(store.client) as wire:
        wire.plan("PutObject", *[expire] * 4)
        threads = [threading.Thread(target=put, args=(store, f"k{number}")) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert keys.asked == 2
    assert [info.key for info in store.list()] == ["k0", "k1", "k2", "k3"]


def test_what_boto3_finds_is_looked_for_again(
    s3_server: Server, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-old-access-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "old-secret-key")
    settings = S3Settings(REGION, s3_server.endpoint_url, read_timeout=62)
    store = S3Store("s3://box/found-again", settings, retry=Retry(sleep=pauses.append))
    with watched(store.client) as wire:
        wire.plan("PutObject", reply(400, "ExpiredToken"))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.admin.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.admin.secret_key)
        assert put(store) == 2
