"""A store keeps objects under keys below one root; it knows keys and bytes, and nothing of shards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from beam_s3box.errors import ConfigurationError, ObjectNotFoundError

_DOTS = re.compile(r"(^|/)\.{1,2}(/|$)")
_ODD_KEY = re.compile(r"^/|/$|//|(^|/)\.{1,2}(/|$)|[\x00-\x1f\x7f\ud800-\udfff]")


class ObjectInfo(NamedTuple):
    """An object in a store.

    Attributes:
      key: below the store's root.
      size: bytes.
      sha256: of its bytes, hexadecimal; None where the store was not told it or was not asked.
      modified: seconds since the epoch when it was written, by the store's clock: see `Store.now`.
      etag: stands for the object as it is, to be given as `if_match`. Opaque. A store may give two objects of the
        same key and the same bytes the same ETag, as S3 does.
    """

    key: str
    size: int
    sha256: str | None
    modified: float
    etag: str = ""


class Store(Protocol):
    """What the rest of the package asks of a store.

    A store is safe from many threads. It is pickled with the pipeline: its settings travel, clients and credentials
    don't. Every method raises the `StoreError`s of `beam_s3box.errors`, after its own retries, and nothing of the
    library underneath. An object is visible whole or not at all.
    """

    @property
    def root(self) -> str:
        """URL of the root, without a slash at its end."""
        ...

    def url(self, key: str) -> str:
        """Return the URL of a key, as a manifest lists it."""
        ...

    @property
    def conditional_create(self) -> bool:
        """Whether a create-only `put` is refused by the server; else the store looks first, and may be too late."""
        ...

    @property
    def conditional_replace(self) -> bool:
        """Whether the `if_match` of `put` is checked by the server, in one step with the write; else as above."""
        ...

    @property
    def conditional_delete(self) -> bool:
        """Whether the `if_match` of `delete` is checked by the server, in one step with it; else as above."""
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
        """Write an object and return the number of attempts that took, 1 if nothing went wrong.

        Args:
          key: below the root.
          body: all of its bytes.
          sha256: of the body, hexadecimal: the store lets its server check it where it can, and keeps it.
          content_type: MIME type.
          replace: whether an object already there gives way; else it is left as it is.
          if_match: replace only the object with this ETag; only with `replace`. If the object is already these very
            bytes, that is a success: the reply to an earlier attempt may have been lost.

        Raises:
          ObjectExistsError: an object of this key is there, and `replace` is false.
          ObjectChangedError: the object has another ETag than `if_match`, or there is none.
          AccessError, ObjectNotFoundError (the bucket), StoreError: names bucket, key, error code and attempts.
        """
        ...

    def get(self, key: str) -> bytes:
        """Return an object's bytes; raises ObjectNotFoundError if there is none."""
        ...

    def read(self, key: str) -> tuple[bytes, ObjectInfo]:
        """Return an object's bytes and what is known of just these, from one request; as `get`, for small objects."""
        ...

    def stat(self, key: str) -> ObjectInfo:
        """Return what is known of an object; raises ObjectNotFoundError if there is none."""
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key begins with the prefix, by key."""
        ...

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Remove an object; one that is not there is no error, also with `if_match`.

        Args:
          key: below the root.
          if_match: remove only the object with this ETag.

        Raises:
          ObjectChangedError: the object has another ETag than `if_match`; it stays.
        """
        ...

    @property
    def clock_resolution(self) -> float:
        """Seconds by which `ObjectInfo.modified` and `now` may differ for one moment: both may be cut to whole ones."""
        ...

    def now(self) -> float:
        """Return the time by the clock that `ObjectInfo.modified` is told by, in seconds since the epoch.

        On S3 this is the server's, as of its latest answer and counted on from there, to a second.
        """
        ...

    def check_writable(self) -> None:
        """Raise the error that a write would meet, within seconds and without leaving anything behind."""
        ...


def check_key(key: str) -> str:
    """Return the key.

    Raises:
      ConfigurationError: empty, absolute, with control characters, or with empty, `.` or `..` components, which could
        leave the root.
    """
    if not key or _ODD_KEY.search(key):
        raise ConfigurationError(
            f"key={key!r} must be a relative path without control characters and empty, '.' or '..' components"
        )
    return key


def check_readable_key(key: str) -> str:
    """Return the key of an object that is only read: others may have written any, as `folder/` and `a//b`.

    Raises:
      ConfigurationError: empty, or with `.` or `..` components, which some servers take for places outside the root.
    """
    return check_key(key) if not key or _DOTS.search(key) else key


def check_condition(replace: bool, if_match: str | None) -> None:
    """Raise ConfigurationError for an `if_match` that says nothing, or that goes with a create-only write."""
    if if_match is not None and not (replace and if_match):
        raise ConfigurationError(
            f"if_match={if_match!r} must be an ETag from `ObjectInfo.etag`, and needs replace=True: what does not "
            "exist yet has none"
        )


def holds(store: Store, key: str, body: bytes, sha256: str) -> bool:
    """Return whether an object is there with just these bytes, told by its checksum or else by reading it.

    It answers what became of a write whose reply was lost.
    """
    try:
        found = store.stat(key)
        if found.size != len(body):
            return False
        # some servers keep no metadata, and so no checksum of ours
        return found.sha256 == sha256 if found.sha256 is not None else store.get(key) == body
    except ObjectNotFoundError:
        return False
