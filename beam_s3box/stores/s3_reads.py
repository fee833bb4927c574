"""Reads an object in ranges, all of the same version: an object that is replaced meanwhile is an error."""

from __future__ import annotations

import contextlib
import functools
import re
from typing import Any, NamedTuple

from beam_s3box.errors import StoreError
from beam_s3box.stores.s3_answers import InvalidResponse
from beam_s3box.stores.s3_errors import error_code
from beam_s3box.stores.s3_requests import Requests, answer

_NOT_IT = ("PreconditionFailed", "412")
"""Codes of a condition that is not met; the second one if the server sends no code."""

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class ObjectReplacedError(Exception):
    """The object was replaced after reading had begun."""


class ObjectVersion(NamedTuple):
    """A version of an object.

    Attributes:
      etag: the ETag, which identifies its content.
      size: its size in bytes.
    """

    etag: str
    size: int


class ObjectReader:
    """Reads one object from any position; for one thread.

    Args:
      requests: sends requests to the bucket.
      key: the key of the object; any key that S3 allows.
      etag: the ETag of the version to read; empty for the version at the first request.
    """

    def __init__(self, requests: Requests, key: str, etag: str = "") -> None:
        self._requests = requests
        self._key = key
        self._etag = etag
        self._size: int | None = None
        self._position = 0

    def version(self) -> ObjectVersion:
        """Return the current version of the object.

        Raises:
          StoreError: it can't be read.
        """
        head = self._requests.send("HeadObject", self._key, {}, finish=answer)[0]
        return ObjectVersion(head["ETag"], head["ContentLength"])

    def seek(self, position: int) -> None:
        """Continue to read at a position."""
        self._position = position

    def read(self, size: int, /) -> bytes:
        """Return `size` bytes, fewer only at the end of the object.

        Raises:
          ObjectReplacedError: it is not the requested version.
          StoreError: it can't be read.
        """
        if size <= 0 or (self._size is not None and self._position >= self._size):
            return b""
        wanted = f"bytes={self._position}-{self._position + size - 1}"
        condition = {"IfMatch": self._etag} if self._etag else {}
        try:
            body, _ = self._requests.send(
                "GetObject", self._key, {"Range": wanted, **condition}, finish=functools.partial(self._take, size)
            )
        except StoreError as exc:
            if self._etag and error_code(exc) in _NOT_IT:
                raise ObjectReplacedError(self._requests.url(self._key)) from exc
            raise
        self._position += len(body)
        return body

    def _take(self, size: int, response: Any) -> bytes:
        with contextlib.closing(response["Body"]) as stream:
            etag = response["ETag"]
            if etag != (self._etag or etag):  # some servers ignore conditions
                raise ObjectReplacedError(self._requests.url(self._key))
            body: bytes = stream.read()
        first, last, total = _range_of(response)
        if (first, last) != (self._position, self._position + len(body) - 1) or len(body) != min(size, total - first):
            raise InvalidResponse(
                f"{len(body)} bytes, declared as {first}-{last} of {total}, where {size} from {self._position} were "
                "asked for"
            )
        self._etag, self._size = etag, total
        return body


def _range_of(response: Any) -> tuple[int, int, int]:
    """Return the first and the last byte of a response, and the size of the object."""
    match = _RANGE.fullmatch(response.get("ContentRange", ""))
    if match is None:  # the whole object: some servers respond like this if all of it was requested
        return 0, response["ContentLength"] - 1, response["ContentLength"]
    return int(match[1]), int(match[2]), int(match[3])
