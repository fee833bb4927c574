"""Many objects go by few requests, and each key may fail for itself; uploads that nobody finishes are found and go."""

from __future__ import annotations

import hashlib
import pathlib
from collections.abc import Callable

import pytest

from beam_s3box.errors import AccessError, StoreError
from beam_s3box.stores import LocalStore, MemoryStore, S3Store, Store
from beam_s3box.stores.deletions import NotDeleted, delete_keys
from beam_s3box.stores.s3_uploads import abort_upload, bytes_of_upload, unfinished_uploads
from beam_s3box.testing import FailingStore
from tools.s3_faults import cut_off, lose_reply, reply, say, watched
from tools.seaweedfs import Server

MakeS3 = Callable[..., S3Store]


def put(store: Store, *keys: str) -> None:
    for key in keys:
        store.put(key, b"x", sha256=hashlib.sha256(b"x").hexdigest(), content_type="text/plain")


@pytest.fixture(params=["s3", "local", "memory", "failing"])
def store(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Store:
    if request.param == "local":
        return LocalStore(tmp_path)
    if request.param == "s3":
        made: S3Store = request.getfixturevalue("make_s3")()
        return made
    memory = MemoryStore(tmp_path.as_posix())
    return FailingStore(memory, fail=0) if request.param == "failing" else memory


def test_deletes_what_exists_and_what_does_not(store: Store) -> None:
    put(store, "a/1", "a/2", "a/ä ß&<", "b")
    assert delete_keys(store, ["a/1", "a/ä ß&<", "not there", "a/1"]) == []
    assert [info.key for info in store.list()] == ["a/2", "b"]
    assert delete_keys(store, []) == []


def test_a_thousand_keys_are_one_request(make_s3: MakeS3) -> None:
    store = make_s3()
    put(store, *(f"k{number}" for number in range(20)))
    with watched(store.client) as wire:
        assert delete_keys(store, [f"k{number}" for number in range(2500)]) == []
    assert wire.sent == ["DeleteObjects"] * 3
    assert list(store.list()) == []


def errors(store: S3Store, **codes: str) -> bytes:
    rows = "".join(
        f"<Error><Key>{store.full_key(key)}</Key><Code>{code}</Code><Message>why</Message></Error>"
        for key, code in codes.items()
    )
    return f"<DeleteResult>{rows}</DeleteResult>".encode()


def test_each_key_may_fail_for_itself(make_s3: MakeS3) -> None:
    store = make_s3()
    put(store, "a", "b", "c")
    with watched(store.client) as wire:
        wire.plan("DeleteObjects", say(200, errors(store, a="AccessDenied", b="InternalError", c="NoSuchKey")))
        assert delete_keys(store, ["a", "b", "c"]) == [NotDeleted("a", "AccessDenied: why")]
    # the second request was for the key for which another may help
    assert wire.sent == ["DeleteObjects"] * 2
    assert [info.key for info in store.list()] == ["a", "c"]


def test_what_fails_for_good_is_returned(make_s3: MakeS3, pauses: list[float]) -> None:
    store = make_s3()
    put(store, "a", "b")
    with watched(store.client) as wire:
        wire.plan("DeleteObjects", *[say(200, errors(store, a="AccessDenied", b="SlowDown"))] * 9)
        failed = delete_keys(store, ["a", "b"])
    assert sorted(failed) == [NotDeleted("a", "AccessDenied: why"), NotDeleted("b", "SlowDown: why")]
    assert len(wire.sent) == 5
    assert len(pauses) == 4


def test_a_request_that_fails_is_repeated(make_s3: MakeS3) -> None:
    store = make_s3()
    put(store, "a", "b")
    with watched(store.client) as wire:
        wire.plan("DeleteObjects", reply(503, "SlowDown"), cut_off, lose_reply)
        assert delete_keys(store, ["a", "b"]) == []
    assert len(wire.sent) == 4
    assert list(store.list()) == []


def test_without_permission_nothing_is_tried_further(make_s3: MakeS3, s3_server: Server) -> None:
    store = make_s3()
    put(store, "a")
    with watched(store.client) as wire:
        wire.plan("DeleteObjects", reply(403, "AccessDenied"))
        with pytest.raises(AccessError, match="DeleteObjects"):
            delete_keys(store, ["a"])
    assert wire.sent == ["DeleteObjects"]


@pytest.mark.parametrize("code", [(501, "NotImplemented"), (400, "MissingContentMD5")])
def test_a_server_that_deletes_one_by_one(make_s3: MakeS3, code: tuple[int, str]) -> None:
    store = make_s3()
    put(store, "a", "b")
    with watched(store.client) as wire:
        wire.plan("DeleteObjects", reply(*code))
        assert delete_keys(store, ["a", "b"]) == []
    assert wire.sent == ["DeleteObjects", "DeleteObject", "DeleteObject"]


def begin(store: S3Store, key: str, *, part: bool = True) -> str:
    full_key = store.full_key(key)
    upload_id: str = store.client.create_multipart_upload(Bucket="box", Key=full_key)["UploadId"]
    if part:
        store.client.upload_part(Bucket="box", Key=full_key, UploadId=upload_id, PartNumber=1, Body=b"x" * 1000)
    return upload_id


def test_uploads_that_nobody_finishes_are_found_and_go(make_s3: MakeS3) -> None:
    store, other = make_s3(), make_s3()
    wanted = {begin(store, "data/one"), begin(store, "data/two", part=False)}
    kept = begin(other, "data/one")
    found = list(unfinished_uploads(store))
    assert {upload.upload_id for upload in found} == wanted
    assert {upload.key for upload in found} == {"data/one", "data/two"}
    assert all(abs(upload.began - store.now()) < 60 for upload in found)
    assert sorted(bytes_of_upload(store, upload) for upload in found) == [0, 1000]
    for upload in [*found, *found]:
        abort_upload(store, upload)
    assert list(unfinished_uploads(store)) == []
    assert bytes_of_upload(store, found[0]) == 0
    assert [upload.upload_id for upload in unfinished_uploads(other)] == [kept]
    abort_upload(other, next(unfinished_uploads(other)))


def test_pages_of_uploads(make_s3: MakeS3) -> None:
    store = make_s3()
    root = store.full_key("")
    row = "<Upload><Key>{}</Key><UploadId>u</UploadId><Initiated>2024-01-01T00:00:00Z</Initiated></Upload>"

    def page(name: str, more: str) -> bytes:
        text = f"<IsTruncated>{more}</IsTruncated><NextKeyMarker>{name}</NextKeyMarker>{row.format(root + name)}"
        return f"<ListMultipartUploadsResult>{text}</ListMultipartUploadsResult>".encode()

    with watched(store.client) as wire:
        wire.plan("ListMultipartUploads", say(200, page("a", "true")), say(200, page("b", "false")))
        assert [upload.key for upload in unfinished_uploads(store)] == ["a", "b"]
        wire.plan("ListMultipartUploads", *[say(200, page("a", "true"))] * 3)
        with pytest.raises(StoreError, match="the next page is the same page again"):
            list(unfinished_uploads(store))


def test_other_stores_have_no_uploads(tmp_path: pathlib.Path) -> None:
    assert list(unfinished_uploads(LocalStore(tmp_path))) == []
