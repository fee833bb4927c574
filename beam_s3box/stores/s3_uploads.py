"""Multipart uploads that nobody finished: their parts are billed, and no listing of objects shows them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from beam_s3box.stores.base import Store
from beam_s3box.stores.s3 import S3Store
from beam_s3box.stores.s3_errors import InvalidResponseError, UploadGoneError
from beam_s3box.stores.s3_requests import answer


class UnfinishedUpload(NamedTuple):
    """A multipart upload.

    Attributes:
      key: the key below the store's root.
      upload_id: its id.
      began: when it began, in seconds since the epoch by the store's clock.
    """

    key: str
    upload_id: str
    began: float


def unfinished_uploads(store: Store) -> Iterator[UnfinishedUpload]:
    """Yield the multipart uploads below a store's root; there are none but on S3.

    Raises:
      StoreError: the store refused or failed, after its retries.
    """
    if not isinstance(store, S3Store):
        return
    root = store.full_key("")
    position: dict[str, Any] = {"Prefix": root}
    while True:
        page, _ = store.requests.send("ListMultipartUploads", None, position, finish=answer)
        for upload in page.get("Uploads", ()):
            # some servers ignore the prefix
            if upload["Key"].startswith(root):
                yield UnfinishedUpload(upload["Key"][len(root) :], upload["UploadId"], upload["Initiated"].timestamp())
        if not page.get("IsTruncated"):
            return
        markers = {"KeyMarker": page.get("NextKeyMarker"), "UploadIdMarker": page.get("NextUploadIdMarker")}
        after = {"Prefix": root, **{name: value for name, value in markers.items() if value}}
        if after == position:
            raise InvalidResponseError(
                f"ListMultipartUploads {store.root} failed: the next page is the same page again"
            )
        position = after


def bytes_of_upload(store: Store, upload: UnfinishedUpload) -> int:
    """Return the bytes of the parts of an upload, 0 if it is gone."""
    size: int = 0
    if not isinstance(store, S3Store):
        return size
    position: dict[str, Any] = {"UploadId": upload.upload_id}
    with contextlib.suppress(UploadGoneError):
        while True:
            page, _ = store.requests.send("ListParts", store.full_key(upload.key), position, finish=answer)
            size += sum(int(part["Size"]) for part in page.get("Parts", ()))
            if not page.get("IsTruncated") or page["NextPartNumberMarker"] == position.get("PartNumberMarker"):
                return size
            position = {**position, "PartNumberMarker": page["NextPartNumberMarker"]}
    return size


def abort_upload(store: Store, upload: UnfinishedUpload) -> None:
    """Remove an upload and its parts, if it is still there.

    Raises:
      StoreError: the store refused or failed, after its retries.
    """
    if isinstance(store, S3Store):
        with contextlib.suppress(UploadGoneError):
            parameters = {"UploadId": upload.upload_id}
            store.requests.send("AbortMultipartUpload", store.full_key(upload.key), parameters, finish=answer)
