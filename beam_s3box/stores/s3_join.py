"""Joins slices of objects on S3: the server copies slices of at least 5 MiB, without sending them to us and back."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Final

from beam_s3box.errors import ObjectChangedError, ObjectExistsError, ObjectNotFoundError, StoreError
from beam_s3box.stores.s3 import S3Store
from beam_s3box.stores.s3_answers import InvalidResponse
from beam_s3box.stores.s3_errors import InvalidResponseError, error_code
from beam_s3box.stores.s3_multipart import MAX_PARTS, MultipartUpload
from beam_s3box.stores.s3_objects import object_parameters, quoted
from beam_s3box.stores.s3_reads import ObjectReader, ObjectReplacedError
from beam_s3box.stores.s3_settings import MAX_PART_BYTES, MIN_PART_BYTES
from beam_s3box.stores.slices import Piece, Slice, read_piece, size_of_piece

_NOT_SUPPORTED: Final = ("NotImplemented", "MethodNotAllowed", "501", "405")
"""Codes of servers that copy no parts."""


def read_slice(store: S3Store, wanted: Slice) -> bytes:
    """Return the bytes of a slice; see `read_piece`."""
    reader = ObjectReader(store.requests, store.full_key(wanted.key), quoted(wanted.etag))
    reader.seek(wanted.start)
    try:
        body = reader.read(wanted.size)
    except ObjectReplacedError as exc:
        raise ObjectChangedError(f"{store.url(wanted.key)} was replaced while it was read") from exc
    if len(body) != wanted.size:
        raise InvalidResponseError(f"GetObject {store.url(wanted.key)} failed: {len(body)} of {wanted.size} bytes")
    return body


def put_joined_on_s3(store: S3Store, key: str, pieces: Sequence[Piece], sha256: str, content_type: str) -> int:
    """Create an object that consists of these pieces; see `put_joined`."""
    parts = list(plan_parts(pieces))
    if not any(isinstance(part, Slice) for part in parts):
        body = b"".join(read_piece(store, piece) for piece in pieces)
        return store.put(key, body, sha256=sha256, content_type=content_type)
    if not store.conditional_create:
        _check_free(store, key)
    attempts = _upload(store, key, parts, object_parameters(store.settings, sha256, content_type)).run()
    _check_size(store, key, sum(map(size_of_piece, pieces)))
    return attempts


def plan_parts(pieces: Sequence[Piece]) -> Iterator[Slice | list[Piece]]:
    """Yield the parts of an upload: slices that the server copies, and lists of pieces that are sent.

    Each but the last has at least `MIN_PART_BYTES`. What is too small takes as much of the next slice as it lacks.
    """
    waiting: list[Piece] = []
    size = 0
    for piece in pieces:
        copied = None
        if isinstance(piece, Slice):
            lacking = max(0, MIN_PART_BYTES - size) if waiting else 0
            if piece.size - lacking >= MIN_PART_BYTES:
                copied = piece._replace(start=piece.start + lacking)
                piece = piece._replace(stop=piece.start + lacking)
        if size_of_piece(piece):
            waiting.append(piece)
            size += size_of_piece(piece)
        if waiting and size >= MIN_PART_BYTES:
            yield waiting
            waiting, size = [], 0
        if copied is not None:
            yield from _cut(copied)
    if waiting:
        yield waiting


def _cut(copied: Slice) -> Iterator[Slice]:
    """Yield the slice in parts that S3 copies in one request; each has at least `MIN_PART_BYTES`."""
    while copied.size > MAX_PART_BYTES:
        middle = copied.start + MAX_PART_BYTES // 2
        yield copied._replace(stop=middle)
        copied = copied._replace(start=middle)
    yield copied


@dataclasses.dataclass(frozen=True)
class _JoinedUpload(MultipartUpload):
    """The multipart upload of an object that consists of slices of others.

    Attributes:
      store: the store.
      parts: as `plan_parts` yields them.
    """

    store: S3Store
    parts: Sequence[Slice | list[Piece]]

    def _parts(self) -> Iterator[Any]:
        return iter(self.parts)

    def _send_part(
        self, upload_id: str, number: int, part: Any, failures: list[BaseException]
    ) -> tuple[dict[str, Any], int]:
        if isinstance(part, Slice):
            try:
                return self._copy_part(upload_id, number, part, failures)
            except StoreError as exc:
                if error_code(exc) not in _NOT_SUPPORTED:
                    raise
            part = [part]
        body = b"".join(read_piece(self.store, piece) for piece in part)
        return super()._send_part(upload_id, number, memoryview(body), failures)

    def _copy_part(
        self, upload_id: str, number: int, part: Slice, failures: list[BaseException]
    ) -> tuple[dict[str, Any], int]:
        source = {"Bucket": self.requests.bucket, "Key": self.store.full_key(part.key)}
        parameters = {
            "UploadId": upload_id,
            "PartNumber": number,
            "CopySource": source,
            "CopySourceRange": f"bytes={part.start}-{part.stop - 1}",
            **({"CopySourceIfMatch": quoted(part.etag)} if self.store.conditional_create else {}),
        }
        try:
            copied, attempts = self.requests.send(
                "UploadPartCopy", self.key, parameters, finish=_copied, stop=lambda error: bool(failures)
            )
        except StoreError as exc:
            if error_code(exc) in ("PreconditionFailed", "412"):
                raise ObjectChangedError(f"{self.store.url(part.key)} was replaced while it was copied") from exc
            raise
        return {"PartNumber": number, **copied}, attempts


def _copied(response: Any) -> dict[str, Any]:
    result = response["CopyPartResult"]
    if not result.get("ETag"):
        raise InvalidResponse("a 200 without the ETag of the copied part")
    return {name: result[name] for name in ("ETag", "ChecksumSHA256") if result.get(name)}


def _upload(
    store: S3Store, key: str, parts: Sequence[Slice | list[Piece]], parameters: dict[str, Any]
) -> _JoinedUpload:
    if len(parts) > MAX_PARTS:
        raise StoreError(
            f"{store.url(key)} would have {len(parts)} parts, and S3 takes {MAX_PARTS}: join fewer objects"
        )
    settings = store.settings
    return _JoinedUpload(
        store.requests,
        store.full_key(key),
        b"",
        parameters,
        {"IfNoneMatch": "*"} if store.conditional_create else {},
        settings.part_bytes,
        settings.concurrency,
        settings.checksums,
        store,
        parts,
    )


def _check_free(store: S3Store, key: str) -> None:
    with contextlib.suppress(ObjectNotFoundError):
        store.stat(key)
        raise ObjectExistsError(f"CreateMultipartUpload {store.url(key)} was not sent: an object is already there")


def _check_size(store: S3Store, key: str, size: int) -> None:
    """Delete the object and raise an error if it has another size: some servers ignore the range of a copied part."""
    found = store.stat(key)
    if found.size == size:
        return
    store.delete(key, if_match=found.etag)
    raise InvalidResponseError(
        f"UploadPartCopy {store.url(key)} failed: the object had {found.size} bytes and not {size}, and was deleted; "
        "this server copies other bytes than it was asked for"
    )
