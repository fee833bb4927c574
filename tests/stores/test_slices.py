"""Objects joined of slices of others: the right bytes, copied by the server where it can, whole or not at all."""

from __future__ import annotations

import hashlib
import itertools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_s3box.errors import AccessError, ObjectChangedError, ObjectExistsError, ObjectNotFoundError, StoreError
from beam_s3box.sizes import MiB
from beam_s3box.stores import LocalStore, MemoryStore, S3Store, Store
from beam_s3box.stores.s3_join import plan_parts
from beam_s3box.stores.slices import Piece, Slice, put_joined, read_piece, size_of_piece
from beam_s3box.testing import FailingStore
from tools.s3_faults import lose_reply, reply, say, watched
from tools.seaweedfs import Server

MakeS3 = Callable[..., S3Store]
LARGE = hashlib.shake_256(b"large").digest(MiB) * 6 + b"the end"
SMALL = hashlib.shake_256(b"small").digest(1000)
_NAMES = itertools.count()


@pytest.fixture(params=["s3", "local", "memory", "failing"])
def store(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Store:
    if request.param == "local":
        return LocalStore(tmp_path)
    if request.param == "memory":
        return MemoryStore(f"slices-{next(_NAMES)}")
    if request.param == "failing":
        return FailingStore(MemoryStore(f"slices-{next(_NAMES)}"), fail=0)
    made: S3Store = request.getfixturevalue("make_s3")()
    return made


def put(store: Store, key: str, body: bytes) -> Slice:
    store.put(key, body, sha256=hashlib.sha256(body).hexdigest(), content_type="application/gzip")
    info = store.stat(key)
    return Slice(key, info.etag, 0, info.size)


def join(store: Store, key: str, pieces: Sequence[Piece]) -> bytes:
    body = b"".join(read_piece(store, piece) for piece in pieces)
    sha256 = hashlib.sha256(body).hexdigest()
    put_joined(store, key, pieces, sha256=sha256, content_type="application/gzip")
    found, info = store.read(key)
    assert (found == body, info.sha256) == (True, sha256)
    return found


def test_joined_objects_have_the_bytes_of_their_pieces(store: Store) -> None:
    small, large = put(store, "data/small", SMALL), put(store, "data/large", LARGE)
    assert join(store, "a", [b"<", small._replace(start=10, stop=900), b">"]) == b"<" + SMALL[10:900] + b">"
    pieces: list[Piece] = [large._replace(stop=5 * MiB + 3), small, large._replace(start=7), b"end"]
    assert join(store, "b", pieces) == LARGE[: 5 * MiB + 3] + SMALL + LARGE[7:] + b"end"
    assert join(store, "c", [b"before", large, large]) == b"before" + LARGE + LARGE


def test_a_joined_object_never_overwrites(store: Store) -> None:
    large = put(store, "data/large", LARGE)
    put(store, "there", b"x")
    with pytest.raises(ObjectExistsError):
        put_joined(store, "there", [large], sha256=hashlib.sha256(LARGE).hexdigest(), content_type="application/gzip")
    assert store.get("there") == b"x"


def test_a_slice_of_an_object_that_was_replaced_is_an_error(store: Store) -> None:
    large = put(store, "data/large", LARGE)
    store.put("data/large", LARGE[::-1], sha256=hashlib.sha256(LARGE[::-1]).hexdigest(), content_type="x", replace=True)
    with pytest.raises(ObjectChangedError):
        read_piece(store, large._replace(stop=10))
    attempts: list[list[Piece]] = [[large], [b"<", large._replace(stop=10)]]
    for pieces in attempts:
        with pytest.raises(ObjectChangedError):
            put_joined(store, "joined", pieces, sha256="0" * 64, content_type="application/gzip")
    store.delete("data/large")
    with pytest.raises(ObjectNotFoundError):
        put_joined(store, "joined", [large], sha256="0" * 64, content_type="application/gzip")
    assert [info.key for info in store.list()] == []


def test_the_server_copies_what_is_large_enough(make_s3: MakeS3) -> None:
    store = make_s3()
    small, large = put(store, "small", SMALL), put(store, "large", LARGE)
    with watched(store.client) as wire:
        put_joined(store, "small only", [small, small], sha256=digest(SMALL + SMALL), content_type="x/y")
    assert wire.sent == ["GetObject", "GetObject", "PutObject"]
    with watched(store.client) as wire:
        put_joined(store, "large only", [large, large, b"end"], sha256=digest(LARGE * 2 + b"end"), content_type="x/y")
    assert sorted(wire.sent) == sorted(
        ["CreateMultipartUpload", *["UploadPartCopy"] * 2, "UploadPart", "CompleteMultipartUpload", "HeadObject"]
    )
    assert store.get("large only") == LARGE * 2 + b"end"
    with watched(store.client) as wire:
        # the last 10 bytes in front of the copied slice come with 5 MiB of it, so 1 MiB would be left: all is sent
        put_joined(store, "sent", [b"0123456789", large], sha256=digest(b"0123456789" + LARGE), content_type="x/y")
    assert wire.sent == ["GetObject", "PutObject"]


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def test_a_server_that_copies_no_parts_gets_them_sent(make_s3: MakeS3) -> None:
    store = make_s3()
    large = put(store, "large", LARGE)
    with watched(store.client) as wire:
        wire.plan("UploadPartCopy", *[reply(501, "NotImplemented")] * 2)
        put_joined(store, "joined", [large, large], sha256=digest(LARGE * 2), content_type="x/y")
    assert wire.sent.count("UploadPart") == 2
    assert store.get("joined") == LARGE * 2


def test_a_server_that_ignores_the_range_is_found_out(make_s3: MakeS3) -> None:
    store = make_s3()
    large = put(store, "large", LARGE)

    def copy_all(request: Any, **_: Any) -> None:
        request.headers.replace_header("x-amz-copy-source-range", f"bytes=0-{len(LARGE) - 1}")

    store.client.meta.events.register("before-sign.s3.UploadPartCopy", copy_all)
    wanted = [large._replace(start=7, stop=7 + 5 * MiB)]
    try:
        with pytest.raises(StoreError, match="the object had 6291463 bytes and not 5242880, and was deleted"):
            put_joined(store, "joined", wanted, sha256="0" * 64, content_type="x/y")
    finally:
        store.client.meta.events.unregister("before-sign.s3.UploadPartCopy", copy_all)
    assert [info.key for info in store.list()] == ["large"]


@pytest.mark.parametrize("answer", [say(200, b"<CopyPartResult/>"), say(200, b"<html/>"), say(200)])
def test_a_200_without_an_etag_is_not_believed(make_s3: MakeS3, answer: object) -> None:
    store = make_s3()
    large = put(store, "large", LARGE)
    with watched(store.client) as wire:
        wire.plan("UploadPartCopy", answer)  # type: ignore[arg-type]
        put_joined(store, "joined", [large, b"x"], sha256=digest(LARGE + b"x"), content_type="x/y")
    assert wire.sent.count("UploadPartCopy") == 2
    assert store.get("joined") == LARGE + b"x"


@pytest.mark.parametrize(
    "operation", ["CreateMultipartUpload", "UploadPartCopy", "UploadPart", "CompleteMultipartUpload", "HeadObject"]
)
def test_a_request_that_fails_leaves_nothing(make_s3: MakeS3, s3_server: Server, operation: str) -> None:
    store = make_s3()
    large = put(store, "large", LARGE)
    with watched(store.client) as wire:
        wire.plan(operation, reply(403, "AccessDenied"))
        with pytest.raises(AccessError):
            put_joined(store, "joined", [large, b"x"], sha256=digest(LARGE + b"x"), content_type="x/y")
    assert [info.key for info in store.list()] == (["joined", "large"] if operation == "HeadObject" else ["large"])
    uploads = s3_server.client().list_multipart_uploads(Bucket=s3_server.bucket).get("Uploads", [])
    assert not [upload for upload in uploads if upload["Key"].endswith("joined")]


def test_a_lost_reply_is_repeated(make_s3: MakeS3) -> None:
    store = make_s3()
    large = put(store, "large", LARGE)
    with watched(store.client) as wire:
        wire.plan("UploadPartCopy", lose_reply, reply(503, "SlowDown"))
        assert put_joined(store, "joined", [large, b"x"], sha256=digest(LARGE + b"x"), content_type="x/y") == 3
    assert store.get("joined") == LARGE + b"x"


def test_without_conditional_writes_the_key_is_looked_for_first(make_s3: MakeS3) -> None:
    store = make_s3(conditional_writes=False)
    large = put(store, "large", LARGE)
    assert join(store, "joined", [large, b"x"]) == LARGE + b"x"
    with pytest.raises(ObjectExistsError, match="was not sent"):
        put_joined(store, "joined", [large, b"y"], sha256=digest(LARGE + b"y"), content_type="x/y")


SIZES = st.sampled_from([1, 10, 1000, MiB, 5 * MiB - 1, 5 * MiB, 5 * MiB + 1, 9 * MiB, 10 * MiB, 64 * MiB])


@given(
    st.lists(st.tuples(st.booleans(), SIZES), min_size=1, max_size=12),
)
def test_every_part_but_the_last_is_large_enough(wanted: list[tuple[bool, int]]) -> None:
    pieces: list[Piece] = [
        Slice(f"k{number}", "e", 5, 5 + size) if is_slice else bytes(min(size, 20))
        for number, (is_slice, size) in enumerate(wanted)
    ]
    parts = list(plan_parts(pieces))
    flat: list[Piece] = [piece for part in parts for piece in ([part] if isinstance(part, Slice) else part)]
    sizes = [size_of_piece(part) if isinstance(part, Slice) else sum(map(size_of_piece, part)) for part in parts]
    assert sum(sizes) == sum(map(size_of_piece, pieces))
    assert all(size >= 5 * MiB for size in sizes[:-1])
    assert all(part.size >= 5 * MiB for part in parts if isinstance(part, Slice))
    # in order, and no byte twice
    assert covered(flat) == covered(pieces)


def covered(pieces: Sequence[Piece]) -> list[tuple[str, int, int] | bytes]:
    """Return the pieces with neighbouring slices of one object as one."""
    found: list[tuple[str, int, int] | bytes] = []
    for piece in pieces:
        if isinstance(piece, Slice):
            last = found[-1] if found else b""
            if isinstance(last, tuple) and last[0] == piece.key and last[2] == piece.start:
                found[-1] = (piece.key, last[1], piece.stop)
            else:
                found.append((piece.key, piece.start, piece.stop))
        else:
            found.append(piece)
    return found
