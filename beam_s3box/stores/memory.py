"""Objects in memory, for tests and for pipelines that stay in one process."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator

from beam_s3box.errors import ConfigurationError, ObjectExistsError, ObjectNotFoundError
from beam_s3box.stores.base import ObjectInfo, check_key

_BUCKETS: dict[str, dict[str, tuple[bytes, float]]] = {}
_LOCK = threading.Lock()


def _after_fork() -> None:
    global _LOCK  # noqa: PLW0603 - a thread of the parent's may hold it
    _LOCK = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


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
        with _LOCK:
            bucket = _BUCKETS.setdefault(self._name, {})
            if check_key(key) in bucket and not replace:
                raise ObjectExistsError(f"{self.url(key)} is already there")
            bucket[key] = bytes(body), time.time()
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
        with _LOCK:
            bucket = _BUCKETS.get(self._name, {})
            found = sorted((key, *entry) for key, entry in bucket.items() if key.startswith(prefix))
        for key, body, modified in found:
            yield ObjectInfo(key, len(body), None, modified)

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        with _LOCK:
            _BUCKETS.get(self._name, {}).pop(check_key(key), None)

    def check_writable(self) -> None:
        """Memory can always be written."""

    def _find(self, key: str) -> tuple[bytes, float]:
        with _LOCK:
            entry = _BUCKETS.get(self._name, {}).get(check_key(key))
        if entry is None:
            raise ObjectNotFoundError(f"{self.url(key)} is not there")
        return entry
