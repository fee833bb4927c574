"""Tries what only S3 has: checksums in requests, and uploads in parts."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any, Final

from beam_s3box.errors import AccessError, ObjectNotFoundError, StoreError
from beam_s3box.runs.doctor.findings import Finding, fails, holds
from beam_s3box.runs.doctor.folder import Folder
from beam_s3box.sizes import MiB
from beam_s3box.stores import Store
from beam_s3box.stores.s3 import S3Store
from beam_s3box.stores.s3_errors import UploadGoneError, error_code
from beam_s3box.stores.s3_requests import answer

_BODY: Final = b"the bytes that arrive"
_OTHER: Final = b"the bytes that were sent"
_DIGEST_CODES: Final = (
    "BadDigest",
    "InvalidDigest",
    "XAmzContentSHA256Mismatch",
    "XAmzContentChecksumMismatch",
    "InvalidRequest",
    "InvalidArgument",
)
"""Codes by which servers refuse bytes that do not have the checksum that came with them."""

_PART_BYTES: Final = 5 * MiB


def checksums(name: str, folder: Folder, store: Store) -> Finding:
    """Send bytes with the checksum of others, as if they had been changed on the way."""
    key = folder.key()
    try:
        sha256 = hashlib.sha256(_OTHER).hexdigest()
        store.put(key, _BODY, sha256=sha256, content_type="text/plain", replace=True)
    except AccessError:
        raise
    except StoreError as exc:
        return _refused(name, exc, "bytes with another SHA-256 than was sent are refused")
    return fails(name, "bytes that do not have the SHA-256 that was sent with them were accepted")


def part_checksums(name: str, folder: Folder, store: Store) -> Finding:
    """Send a part of an upload with the checksum of another one."""
    with _upload(store, folder.key()) as upload:
        wrong = base64.b64encode(hashlib.sha256(_OTHER).digest()).decode("ascii")
        try:
            upload.send("UploadPart", {"PartNumber": 1, "ChecksumSHA256": wrong}, _BODY)
        except AccessError:
            raise
        except StoreError as exc:
            return _refused(name, exc, "a part with another SHA-256 than was sent is refused")
    return fails(name, "a part that does not have the SHA-256 that was sent with it was accepted")


def multipart(name: str, folder: Folder, store: Store) -> Finding:
    """Upload an object in two parts; it must not be seen before it is complete, and be whole then."""
    key = folder.key()
    first, last = bytes(_PART_BYTES), b"the last part"
    with _upload(store, key) as upload:
        parts = []
        for number, body in enumerate((first, last), 1):
            digest = base64.b64encode(hashlib.sha256(body).digest()).decode("ascii")
            part: dict[str, Any] = {"PartNumber": number}
            if upload.has_checksums:
                part["ChecksumSHA256"] = digest
            sent = upload.send("UploadPart", part, body)
            parts.append({**part, "ETag": sent["ETag"]})
        if _exists(store, key):
            return fails(name, "an object was there before its upload in parts was complete")
        upload.send("CompleteMultipartUpload", {"MultipartUpload": {"Parts": parts}})
    if store.get(key) != first + last:
        return fails(name, "an upload in parts was completed, and the object has other bytes")
    return holds(name, "an object in parts appears as a whole when it is complete")


def abort(name: str, folder: Folder, store: Store) -> Finding:
    """Abort an upload; its parts must be gone."""
    key = folder.key()
    with _upload(store, key) as upload:
        upload.send("UploadPart", {"PartNumber": 1}, _BODY)
        upload.send("AbortMultipartUpload", {})
        try:
            upload.send("UploadPart", {"PartNumber": 1}, _BODY)
        except (UploadGoneError, ObjectNotFoundError):
            return holds(name, "an upload that is aborted is gone, with its parts")
    return fails(name, "an upload took another part after it was aborted")


class _Upload:
    """One upload in parts."""

    def __init__(self, store: S3Store, key: str) -> None:
        self._requests = store.requests
        self._key = store.full_key(key)
        self.has_checksums = store.settings.checksums
        more = {"ChecksumAlgorithm": "SHA256"} if self.has_checksums else {}
        created, _ = self._requests.send("CreateMultipartUpload", self._key, more, finish=answer)
        self._id = str(created["UploadId"])

    def send(self, operation: str, parameters: dict[str, Any], body: bytes | None = None) -> Any:
        """Make a request, and return the response."""
        sent = {**parameters, "UploadId": self._id}
        return self._requests.send(
            operation, self._key, sent, body=None if body is None else lambda: body, finish=answer
        )[0]


@contextlib.contextmanager
def _upload(store: Store, key: str) -> Iterator[_Upload]:
    """Begin an upload, and abort it at the end of the block unless it is gone."""
    assert isinstance(store, S3Store)  # noqa: S101 - for mypy: only stores on S3 come here
    upload = _Upload(store, key)
    try:
        yield upload
    finally:
        with contextlib.suppress(UploadGoneError, ObjectNotFoundError):
            upload.send("AbortMultipartUpload", {})


def _refused(name: str, error: StoreError, what: str) -> Finding:
    code = error_code(error)
    if code in _DIGEST_CODES:
        return holds(name, f"{what} ({code})")
    raise error


def _exists(store: Store, key: str) -> bool:
    try:
        store.stat(key)
    except ObjectNotFoundError:
        return False
    return True
