"""Objects in memory, for tests and for pipelines that stay in one process."""

from __future__ import annotations

import hashlib
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from beam_s3box.errors import ConfigurationError, ObjectChangedError, ObjectExistsError, ObjectNotFoundError
from beam_s3box.stores.base import ObjectInfo, check_condition, check_key

_LOCK = threading.Lock()
_ETAGS = itertools.count(1)


def _renew_lock() -> None:
    global _LOCK
    _LOCK = threading.Lock()


# another thread may have held it
os.register_at_fork(after_in_child=_renew_lock)


class _Object(NamedTuple):
    body: bytes
    modified: float
    etag: str

    def info(self, key: str, sha256: str | None = None) -> ObjectInfo:
        return ObjectInfo(key, len(self.body), sha256, self.modified, self.etag)


_BUCKETS: dict[str, dict[str, _Object]] = {}


def _after_fork() -> None:
    global _LOCK
    _LOCK = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


class MemoryStore:
    """Objects in this process's memory; stores of the same name share their objects, also after pickling.

    Args:
      name: of the objects' place.
      clock: returns seconds since the epoch.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.time) -> None:
        if not name.strip("/"):
            raise ConfigurationError("destination='memory://' needs a name, as in memory://name")
        self._name = name.strip("/")
        self._clock = clock

    def __repr__(self) -> str:
        return f"MemoryStore({self._name!r})"

    @property
    def root(self) -> str:
        """URL of the root."""
        return f"memory://{self._name}"

    def url(self, key: str) -> str:
        """Return the URL of a key."""
        return f"{self.root}/{key}"

    @property
    def conditional_create(self) -> bool:
        """A create-only write is refused in one step."""
        return True

    @property
    def conditional_replace(self) -> bool:
        """`if_match` is checked in one step with the write."""
        return True

    @property
    def conditional_delete(self) -> bool:
        """`if_match` is checked in one step with the removal."""
        return True

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
        """Write an object; see `Store.put`."""
        check_condition(replace, if_match)
        with _LOCK:
            bucket = _BUCKETS.setdefault(self._name, {})
            found = bucket.get(check_key(key))
            if found is not None and not replace:
                raise ObjectExistsError(f"{self.url(key)} is already there")
            if if_match is not None and (found is None or found.etag != if_match):
                if found is None or found.body != body:
                    raise self._changed(key)
                return 1
            bucket[key] = _Object(bytes(body), self._clock(), f"{next(_ETAGS)}")
        return 1

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        return self._find(key).body

    def read(self, key: str) -> tuple[bytes, ObjectInfo]:
        """Return an object's bytes and what is known of them."""
        found = self._find(key)
        return found.body, found.info(key, hashlib.sha256(found.body).hexdigest())

    def stat(self, key: str) -> ObjectInfo:
        """Return what is known of an object."""
        return self.read(key)[1]

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key begins with the prefix, by key."""
        with _LOCK:
            bucket = _BUCKETS.get(self._name, {})
            found = sorted((key, entry) for key, entry in bucket.items() if key.startswith(prefix))
        for key, entry in found:
            yield entry.info(key)

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Remove an object, if it is there; see `Store.delete`."""
        check_condition(True, if_match)
        with _LOCK:
            bucket = _BUCKETS.get(self._name, {})
            found = bucket.get(check_key(key))
            if found is not None and if_match not in (None, found.etag):
                raise self._changed(key)
            bucket.pop(key, None)

    @property
    def clock_resolution(self) -> float:
        """Times are exact."""
        return 0.0

    def now(self) -> float:
        """Return the time by this store's clock."""
        return self._clock()

    def check_writable(self) -> None:
        """Memory can always be written."""

    def _changed(self, key: str) -> ObjectChangedError:
        return ObjectChangedError(f"{self.url(key)} is another object than expected, or gone")

    def _find(self, key: str) -> _Object:
        with _LOCK:
            entry = _BUCKETS.get(self._name, {}).get(check_key(key))
        if entry is None:
            raise ObjectNotFoundError(f"{self.url(key)} is not there")
        return entry
