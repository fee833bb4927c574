"""`check_writable` reports within seconds what a write would meet."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from beam_s3box.errors import AccessError, ObjectNotFoundError, S3BoxError, StoreError, TransientStoreError
from beam_s3box.stores import Credentials, S3Settings, S3Store, s3_check
from beam_s3box.stores.s3_client import Connection
from tools.s3_faults import Wire, reply, watched
from tools.seaweedfs import REGION, Identity, Server

MakeS3 = Callable[..., S3Store]
pytestmark = pytest.mark.usefixtures("no_hurry")

ALL_IN_ALL = r"check of s3://\S+ failed: no answer within 5 seconds; check the endpoint"
"""What a busy machine may come to say, which takes a second to start with."""


@contextlib.contextmanager
def refused(kind: type[S3BoxError], message: str) -> Iterator[None]:
    began = time.monotonic()
    with pytest.raises(kind, match=message) as caught:
        yield
    assert time.monotonic() - began < 60
    assert "wrong-secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def check_wire(s3_server: Server) -> Iterator[Wire]:
    """The wire of the checks' own client, for the admin."""
    settings = S3Settings(REGION, s3_server.endpoint_url, connect_timeout=2.0, read_timeout=2.0, acl="private")
    client = Connection(settings, s3_server.admin).get().client
    with watched(client) as wire:
        yield wire


WRITES = [
    *["PutObject", "PutObject"],
    *["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload"],
    "DeleteObject",
]
"""The second of each kind meets the object of the first."""


def test_sends_what_a_write_sends_and_leaves_nothing(make_s3: MakeS3, s3_server: Server, check_wire: Wire) -> None:
    make_s3(s3_server.admin, "s3://box/checked", acl="private").check_writable()
    assert check_wire.sent == ["GetBucketLocation", *WRITES]
    _, put, _, create, part, complete, *_ = check_wire.requests
    for request in (put, create):
        assert request.headers["x-amz-acl"] == b"private"
        assert "/box/checked/.beam_s3box-write-check" in request.url
    assert put.headers["If-None-Match"] == complete.headers["If-None-Match"] == b"*"
    assert create.headers["x-amz-checksum-algorithm"] == b"SHA256"
    assert {"x-amz-checksum-sha256"} <= {*put.headers} & {*part.headers}
    client = s3_server.client()
    # others may have been left by processes that tests killed
    assert not client.list_multipart_uploads(Bucket="box", Prefix="checked").get("Uploads")
    assert "Contents" not in client.list_objects_v2(Bucket="box", Prefix="checked")


@pytest.mark.parametrize("status_and_code", [(403, "AccessDenied"), (403, ""), (501, "NotImplemented"), (405, "")])
def test_needs_no_right_to_ask_where_the_bucket_is(
    make_s3: MakeS3, check_wire: Wire, status_and_code: tuple[int, str]
) -> None:
    check_wire.plan("GetBucketLocation", reply(*status_and_code))
    make_s3(acl="private").check_writable()
    assert check_wire.sent[1:] == WRITES


def test_tells_that_uploads_could_not_be_cleaned_up(make_s3: MakeS3, check_wire: Wire, s3_server: Server) -> None:
    check_wire.plan("AbortMultipartUpload", *[reply(403, "AccessDenied")] * 2)
    store = make_s3(acl="private")
    with refused(AccessError, "AbortMultipartUpload s3://box.*; allow s3:AbortMultipartUpload, or the parts of failed"):
        store.check_writable()
    client = s3_server.client()
    prefix = store.root.removeprefix("s3://box/")
    (left,) = client.list_multipart_uploads(Bucket="box", Prefix=prefix)["Uploads"]
    client.abort_multipart_upload(Bucket="box", Key=left["Key"], UploadId=left["UploadId"])


def test_a_missing_bucket_is_not_created(make_s3: MakeS3, s3_server: Server) -> None:
    for identity in (s3_server.admin, s3_server.writer):
        with refused(
            ObjectNotFoundError,
            r"s3://missing failed after 1 attempt: NoSuchBucket \(404\): no such bucket: create it or",
        ):
            make_s3(identity, "s3://missing/x").check_writable()
    assert "missing" not in {bucket["Name"] for bucket in s3_server.client().list_buckets()["Buckets"]}


def test_a_reader_may_not_write(make_s3: MakeS3, s3_server: Server) -> None:
    with refused(
        AccessError,
        r"PutObject s3://box/\S+ failed after 1 attempt: AccessDenied \(403\): these credentials may",
    ):
        make_s3(s3_server.reader).check_writable()


def test_a_wrong_secret(make_s3: MakeS3, s3_server: Server) -> None:
    with refused(AccessError, r"SignatureDoesNotMatch \(403\): the secret key is wrong: correct the keys$"):
        make_s3(Identity(s3_server.admin.access_key, "wrong-secret")).check_writable()


def test_an_unknown_key(make_s3: MakeS3) -> None:
    with refused(AccessError, r"InvalidAccessKeyId \(403\): the access key id is unknown to this server"):
        make_s3(Identity("AKIAIOSFODNN7EXAMPLE", "wrong-secret")).check_writable()


def test_a_closed_port(make_s3: MakeS3) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with refused(TransientStoreError, rf"EndpointConnectionError: nothing answers there: .*127.0.0.1:{port}"):
        make_s3(endpoint_url=f"http://127.0.0.1:{port}").check_writable()


def test_a_host_without_address(make_s3: MakeS3) -> None:
    with refused(TransientStoreError, "no such host|no answer within"):
        make_s3(endpoint_url="http://no-such-host.invalid").check_writable()


def test_a_server_that_takes_calls_and_says_nothing(make_s3: MakeS3) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        refused(TransientStoreError, r"ReadTimeoutError: no answer in time: |" + ALL_IN_ALL),
    ):
        make_s3(endpoint_url=f"http://127.0.0.1:{server.getsockname()[1]}").check_writable()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops calls to a full queue")
def test_a_black_hole(make_s3: MakeS3) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, contextlib.ExitStack() as callers:
        for _ in range(4):
            caller = callers.enter_context(contextlib.closing(socket.socket()))
            caller.setblocking(False)
            caller.connect_ex(server.getsockname())
        with refused(
            TransientStoreError,
            "ConnectTimeoutError: no connection in time: check endpoint, proxy and|" + ALL_IN_ALL,
        ):
            make_s3(endpoint_url=f"http://127.0.0.1:{server.getsockname()[1]}").check_writable()


def test_credentials_that_never_come(make_s3: MakeS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_check, "_DEADLINE_SECONDS", 0.05)
    released = threading.Event()
    checked = threading.Event()

    class Slow:
        def __call__(self) -> Credentials:
            released.wait(60)
            checked.set()
            raise StoreError("too late to matter")

    with refused(
        TransientStoreError, r"check of s3://box/\S+ failed: no answer within 0.05 seconds; check the endpoint"
    ):
        make_s3(Slow()).check_writable()
    released.set()
    assert checked.wait(60)


def test_errors_of_the_credentials_function_come_through(make_s3: MakeS3) -> None:
    def fail() -> Credentials:
        raise LookupError("the vault is closed")

    with pytest.raises(LookupError, match="the vault is closed"):
        make_s3(fail).check_writable()
