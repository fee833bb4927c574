"""Reads an object by parts, all of one version of it: an object that is replaced meanwhile is an error."""

from __future__ import annotations

import contextlib
import functools
import re
from typing import Any, NamedTuple

from beam_s3box.errors import StoreError
from beam_s3box.stores.s3_answers import OddAnswer
from beam_s3box.stores.s3_errors import error_code
from beam_s3box.stores.s3_requests import Requests, answer

_NOT_IT = ("PreconditionFailed", "412")
"""Codes for a condition that does not hold; the second where a server tells none."""

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
      requests: to its bucket.
      key: of the object, any that S3 allows.
      etag: of the version to read; empty for the one that is there at the first request.
    """

    def __init__(self, requests: Requests, key: str, etag: str = "") -> None:
        self._requests = requests
        self._key = key
        self._etag = etag
        self._size: int | None = None
        self._position = 0

    def version(self) -> ObjectVersion:
        """Return what the object is now.

        Raises:
          StoreError: it can't be read.
        """
        head = self._requests.send("HeadObject", self._key, {}, finish=answer)[0]
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
            if etag != (self._etag or etag):  # some servers know no conditions
                raise ObjectReplacedError(self._requests.url(self._key))
            body: bytes = stream.read()
        first, last, total = _range_of(response)
        if (first, last) != (self._position, self._position + len(body) - 1) or len(body) != min(size, total - first):
            raise OddAnswer(
                f"{len(body)} bytes, told to be {first}-{last} of {total}, where {size} from {self._position} were "
                "asked for"
            )
        self._etag, self._size = etag, total
        return body


def _range_of(response: Any) -> tuple[int, int, int]:
    """Return the first and the last byte of an answer, and the object's size."""
    match = _RANGE.fullmatch(response.get("ContentRange", ""))
    if match is None:  # the whole object: some servers say so where all of it was asked for
        return 0, response["ContentLength"] - 1, response["ContentLength"]
    return int(match[1]), int(match[2]), int(match[3])
