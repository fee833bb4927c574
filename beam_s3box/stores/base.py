"""A store keeps objects under keys below one root; it knows keys and bytes, and nothing of shards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from beam_s3box.errors import ConfigurationError

_ODD_KEY = re.compile(r"^/|/$|//|(^|/)\.{1,2}(/|$)|[\x00-\x1f\x7f\ud800-\udfff]")


class ObjectInfo(NamedTuple):
    """An object in a store.

    Attributes:
      key: below the store's root.
      size: bytes.
      sha256: of its bytes, hexadecimal; None where the store was not told it or was not asked.
      modified: seconds since the epoch when it was written.
    """

    key: str
    size: int
    sha256: str | None
    modified: float


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

    def put(self, key: str, body: bytes, *, sha256: str, content_type: str, replace: bool = False) -> int:
        """Write an object and return the number of attempts that took, 1 if nothing went wrong.

        Args:
          key: below the root.
          body: all of its bytes.
          sha256: of the body, hexadecimal: the store lets its server check it where it can, and keeps it.
          content_type: MIME type.
          replace: whether an object already there gives way; else it is left as it is.

        Raises:
          ObjectExistsError: an object of this key is there, and `replace` is false.
          AccessError, ObjectNotFoundError (the bucket), StoreError: names bucket, key, error code and attempts.
        """
        ...

    def get(self, key: str) -> bytes:
        """Return an object's bytes; raises ObjectNotFoundError if there is none."""
        ...

    def stat(self, key: str) -> ObjectInfo:
        """Return what is known of an object; raises ObjectNotFoundError if there is none."""
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key begins with the prefix, by key."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""
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
