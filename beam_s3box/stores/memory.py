"""Objects in memory, for tests and for pipelines that stay in one process."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator

from beam_s3box.errors import ConfigurationError, ObjectExistsError, ObjectNotFoundError
from beam_s3box.stores.base import ObjectInfo, check_key

_BUCKETS: dict[str, dict[str, tuple[bytes, float]]] = {}
"""Each use of a bucket is one step of the dict's: a lock could stay held after a fork, or by a call that broke off."""


class MemoryStore:
    """Objects in this process's memory; stores of the same name share their objects, also after pickling."""

    def __init__(self, name: str) -> None:
        if not name.strip("/"):
            raise ConfigurationError("destination='memory://' needs a name, as in memory://name")
        self._name = name.strip("/")

    def __repr__(self) -> str:
        return f"MemoryStore({self._name!r})"

    @property
    def root(self) -> str:
        """URL of the root."""
        return f"memory://{self._name}"

    def url(self, key: str) -> str:
        """Return the URL of a key."""
        return f"{self.root}/{key}"

    def put(self, key: str, body: bytes, *, sha256: str, content_type: str, replace: bool = False) -> int:
        """Write an object; see `Store.put`."""
        bucket, entry = _BUCKETS.setdefault(self._name, {}), (bytes(body), time.time())
        if replace:
            bucket[check_key(key)] = entry
        elif bucket.setdefault(check_key(key), entry) is not entry:
            raise ObjectExistsError(f"{self.url(key)} is already there")
        return 1

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        return self._find(key)[0]

    def stat(self, key: str) -> ObjectInfo:
        """Return what is known of an object."""
        body, modified = self._find(key)
        return ObjectInfo(key, len(body), hashlib.sha256(body).hexdigest(), modified)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key begins with the prefix, by key."""
        objects = [*_BUCKETS.get(self._name, {}).items()]
        for key, (body, modified) in sorted(entry for entry in objects if entry[0].startswith(prefix)):
            yield ObjectInfo(key, len(body), None, modified)

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        _BUCKETS.get(self._name, {}).pop(check_key(key), None)

    def check_writable(self) -> None:
        """Memory can always be written."""

    def _find(self, key: str) -> tuple[bytes, float]:
        entry = _BUCKETS.get(self._name, {}).get(check_key(key))
        if entry is None:
            raise ObjectNotFoundError(f"{self.url(key)} is not there")
        return entry
