"""The interface of stores, which keep objects under keys below one root. A store does not know about shards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from beam_s3box.errors import ConfigurationError, ObjectNotFoundError

_DOTS = re.compile(r"(^|/)\.{1,2}(/|$)")
_INVALID_KEY = re.compile(r"^/|/$|//|(^|/)\.{1,2}(/|$)|[\x00-\x1f\x7f\ud800-\udfff]")


class ObjectInfo(NamedTuple):
    """An object in a store.

    Attributes:
      key: its key below the store's root.
      size: its size in bytes.
      sha256: the SHA-256 of its bytes, hexadecimal; None if the store does not know it.
      modified: the time when it was written, in seconds since the epoch by the store's clock: see `Store.now`.
      etag: the ETag of its current version, for `if_match`. Opaque. Two objects with the same key and the same bytes
        may have the same ETag, as in S3.
    """

    key: str
    size: int
    sha256: str | None
    modified: float
    etag: str = ""


class Store(Protocol):
    """The interface of a store.

    A store is safe for use by many threads. It is pickled with the pipeline: settings are pickled, clients and
    credentials are not. All methods raise the `StoreError`s of `beam_s3box.errors`, after their own retries, and no
    errors of the underlying library. An object is visible as a whole or not at all.
    """

    @property
    def root(self) -> str:
        """The URL of the root, without a trailing slash."""
        ...

    def url(self, key: str) -> str:
        """Return the URL of a key, as a manifest lists it."""
        ...

    @property
    def conditional_create(self) -> bool:
        """Whether the server refuses a create-only `put`; otherwise the store checks first, with a race condition."""
        ...

    @property
    def conditional_replace(self) -> bool:
        """Whether the server checks the `if_match` of `put` atomically; otherwise the store checks first."""
        ...

    @property
    def conditional_delete(self) -> bool:
        """Whether the server checks the `if_match` of `delete` atomically; otherwise the store checks first."""
        ...

    def put(
        self,
        key: str,
        body: bytes,
        *,
        sha256: str,
        content_type: str,
        replace: bool = False,
        if_match: str | None = None,
    ) -> int:
        """Write an object and return the number of attempts, 1 if the first one succeeded.

        Args:
          key: the key below the root.
          body: the bytes of the object.
          sha256: the SHA-256 of the body, hexadecimal. The server checks it, if it can, and stores it.
          content_type: the MIME type.
          replace: whether to replace an existing object; otherwise it is not changed.
          if_match: replace only the object with this ETag; requires `replace`. If the object has the same bytes
            already, that is a success: the response to an earlier attempt may have been lost.

        Raises:
          ObjectExistsError: the object exists, and `replace` is false.
          ObjectChangedError: the object has another ETag than `if_match`, or does not exist.
          AccessError, ObjectNotFoundError (the bucket), StoreError: names bucket, key, error code and attempts.
        """
        ...

    def get(self, key: str) -> bytes:
        """Return an object's bytes; raises ObjectNotFoundError if it does not exist."""
        ...

    def read(self, key: str) -> tuple[bytes, ObjectInfo]:
        """Return an object's bytes and its properties, from one request; for small objects, like `get`."""
        ...

    def stat(self, key: str) -> ObjectInfo:
        """Return the properties of an object; raises ObjectNotFoundError if it does not exist."""
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key starts with the prefix, by key."""
        ...

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Delete an object; if it does not exist this is not an error, also with `if_match`.

        Args:
          key: the key below the root.
          if_match: delete only the object with this ETag.

        Raises:
          ObjectChangedError: the object has another ETag than `if_match`; it is not deleted.
        """
        ...

    @property
    def clock_resolution(self) -> float:
        """Seconds by which `ObjectInfo.modified` and `now` may differ at the same time, as both may be truncated."""
        ...

    def now(self) -> float:
        """Return the time of the clock that sets `ObjectInfo.modified`, in seconds since the epoch.

        On S3 this is the server's clock: the time of its latest response, plus the time since, to a second.
        """
        ...

    def check_writable(self) -> None:
        """Raise the error that a write would raise, within seconds and without leaving anything behind."""
        ...


def check_key(key: str) -> str:
    """Return the key.

    Raises:
      ConfigurationError: empty, absolute, with control characters, or with empty, `.` or `..` components, which could
        leave the root.
    """
    if not key or _INVALID_KEY.search(key):
        raise ConfigurationError(
            f"key={key!r} must be a relative path without control characters and empty, '.' or '..' components"
        )
    return key


def check_readable_key(key: str) -> str:
    """Return the key of an object that is only read: other programs may use any key, such as `folder/` and `a//b`.

    Raises:
      ConfigurationError: empty, or with `.` or `..` components, which on some servers lead out of the root.
    """
    return check_key(key) if not key or _DOTS.search(key) else key


def check_condition(replace: bool, if_match: str | None) -> None:
    """Raise ConfigurationError for an `if_match` that is empty or used with a create-only write."""
    if if_match is not None and not (replace and if_match):
        raise ConfigurationError(
            f"if_match={if_match!r} must be an ETag from `ObjectInfo.etag`, and requires replace=True: an object "
            "that does not exist has none"
        )


def holds(store: Store, key: str, body: bytes, sha256: str) -> bool:
    """Return whether an object exists with exactly these bytes, by its checksum or by reading it.

    It is used to find out whether a write succeeded whose response was lost.
    """
    try:
        found = store.stat(key)
        if found.size != len(body):
            return False
        # some servers do not keep metadata, and so not our checksum
        return found.sha256 == sha256 if found.sha256 is not None else store.get(key) == body
    except ObjectNotFoundError:
        return False
