"""Reads an object by parts, all of one version of it: an object that is replaced meanwhile is an error."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from beam_s3box.errors import ObjectExistsError, TransientStoreError
from beam_s3box.stores.retries import Retry
from beam_s3box.stores.s3 import S3Store
from beam_s3box.stores.s3_requests import translated

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class ObjectReplacedError(Exception):
    """The object is another one than when the reading began."""


class ObjectVersion(NamedTuple):
    """What an object is at a moment.

    Attributes:
      etag: tells its content from another's.
      size: bytes.
    """

    etag: str
    size: int


class ObjectReader:
    """Reads one object from wherever it is asked to; for one thread.

    Args:
      store: knows how to reach the bucket.
      bucket, key: of the object; the key may be any that S3 allows.
      etag: of the version to read; empty for the one that is there at the first request.
      retry: attempts and waits of each request.
    """

    def __init__(self, store: S3Store, bucket: str, key: str, etag: str = "", retry: Retry | None = None) -> None:
        self._store = store
        self._target = {"Bucket": bucket, "Key": key}
        self._url = f"s3://{bucket}/{key}"
        self._etag = etag
        self._retry = retry or Retry()
        self._size: int | None = None
        self._position = 0

    def version(self) -> ObjectVersion:
        """Return what the object is now.

        Raises:
          StoreError: it can't be read.
        """
        head = self._send("HeadObject", lambda: self._store.client.head_object(**self._target))  # type: ignore[arg-type]
        return ObjectVersion(head["ETag"], head["ContentLength"])

    def seek(self, position: int) -> None:
        """Read on from there."""
        self._position = position

    def read(self, size: int, /) -> bytes:
        """Return so many bytes, fewer only at the end of the object.

        Raises:
          ObjectReplacedError: it is not the version that was asked for.
          StoreError: it can't be read.
        """
        if size <= 0 or (self._size is not None and self._position >= self._size):
            return b""
        try:
            body: bytes = self._send("GetObject", lambda: self._get(size))
        except ObjectExistsError as exc:  # what our errors make of a condition that does not hold
            raise ObjectReplacedError(self._url) from exc
        self._position += len(body)
        return body

    def _get(self, size: int) -> bytes:
        condition = {"IfMatch": self._etag} if self._etag else {}
        wanted = f"bytes={self._position}-{self._position + size - 1}"
        response: Any = self._store.client.get_object(**self._target, Range=wanted, **condition)  # type: ignore[arg-type]
        etag = response["ETag"]
        if etag != (self._etag or etag):  # some servers know no conditions
            raise ObjectReplacedError(self._url)
        body: bytes = response["Body"].read()
        first, last, total = _range_of(response)
        if (first, last) != (self._position, self._position + len(body) - 1) or len(body) != min(size, total - first):
            raise TransientStoreError(
                f"GetObject {self._url} failed: asked for {wanted}, the answer has bytes {first}-{last} of {total} and "
                f"{len(body)} bytes came"
            )
        self._etag, self._size = etag, total
        return body

    def _send(self, operation: str, request: Any) -> Any:
        return self._retry.run(lambda number: translated(request, operation, self._url, number))[0]


def _range_of(response: Any) -> tuple[int, int, int]:
    """Return the first and the last byte of an answer, and the object's size."""
    match = _RANGE.fullmatch(response.get("ContentRange", ""))
    if match is None:  # the whole object: some servers say so where all of it was asked for
        return 0, response["ContentLength"] - 1, response["ContentLength"]
    return int(match[1]), int(match[2]), int(match[3])
