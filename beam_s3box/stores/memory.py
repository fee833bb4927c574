"""Objects in memory, for tests and for pipelines that stay in one process."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

from beam_s3box.errors import ConfigurationError, ObjectChangedError, ObjectExistsError, ObjectNotFoundError
from beam_s3box.stores.base import ObjectInfo, check_condition, check_key
from beam_s3box.system.outside import wall_seconds

_ETAGS = itertools.count(1)


class _Object(NamedTuple):
    """One state of a key; without a body, the object does not exist."""

    body: bytes | None
    modified: float
    etag: str


_BUCKETS: dict[str, dict[str, _Object]] = {}
"""The first state of each key, by the name of the store."""

_NEXT: dict[str, _Object] = {}
"""The state after another one, by the ETag of that one. A change is one atomic call of `setdefault`, so there is no
lock that could stay locked after a fork or when a signal handler raises."""


class MemoryStore:
    """Objects in the memory of this process; stores with the same name share their objects, also after pickling.

    Args:
      name: the name of the store.
      clock: returns seconds since the epoch.
    """

    def __init__(self, name: str, clock: Callable[[], float] = wall_seconds) -> None:
        if not name.strip("/"):
            raise ConfigurationError("destination='memory://' needs a name, as in memory://name")
        self._name = name.strip("/")
        self._clock = clock

    def __repr__(self) -> str:
        return f"MemoryStore({self._name!r})"

    @property
    def root(self) -> str:
        """The URL of the root."""
        return f"memory://{self._name}"

    def url(self, key: str) -> str:
        """Return the URL of a key."""
        return f"{self.root}/{key}"

    @property
    def conditional_create(self) -> bool:
        """A create-only write is atomic."""
        return True

    @property
    def conditional_replace(self) -> bool:
        """`if_match` is checked atomically."""
        return True

    @property
    def conditional_delete(self) -> bool:
        """`if_match` is checked atomically."""
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
        while True:
            found = self._state(check_key(key))
            there = None if found is None else found.body
            if there is not None and not replace:
                raise ObjectExistsError(f"{self.url(key)} already exists")
            if if_match is not None and (found is None or there is None or found.etag != if_match):
                if there != body:
                    raise self._changed(key)
                return 1
            if self._follow(key, found, bytes(body)):
                return 1

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        return self._find(key)[0]

    def read(self, key: str) -> tuple[bytes, ObjectInfo]:
        """Return an object's bytes and its properties."""
        body, found = self._find(key)
        return body, _info(key, found, hashlib.sha256(body).hexdigest())

    def stat(self, key: str) -> ObjectInfo:
        """Return the properties of an object."""
        return self.read(key)[1]

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key starts with the prefix, by key."""
        for key in sorted(key for key in [*_BUCKETS.get(self._name, {})] if key.startswith(prefix)):
            found = self._state(key)
            if found is not None and found.body is not None:
                yield _info(key, found, None)

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Delete an object, if it exists; see `Store.delete`."""
        check_condition(True, if_match)
        while True:
            found = self._state(check_key(key))
            if found is None or found.body is None:
                return
            if if_match not in (None, found.etag):
                raise self._changed(key)
            if self._follow(key, found, None):
                return

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
        return ObjectChangedError(f"{self.url(key)} has another ETag than expected, or is gone")

    def _state(self, key: str) -> _Object | None:
        """Return the last state of a key, None if it never existed."""
        found = _BUCKETS.get(self._name, {}).get(key)
        while found is not None and (following := _NEXT.get(found.etag)) is not None:
            found = following
        return found

    def _follow(self, key: str, found: _Object | None, body: bytes | None) -> bool:
        """Add the next state of a key; return False if another thread was first."""
        state = _Object(body, self._clock(), f"{next(_ETAGS)}")
        if found is None:
            return _BUCKETS.setdefault(self._name, {}).setdefault(key, state) is state
        return _NEXT.setdefault(found.etag, state) is state

    def _find(self, key: str) -> tuple[bytes, _Object]:
        found = self._state(check_key(key))
        if found is None or found.body is None:
            raise ObjectNotFoundError(f"{self.url(key)} does not exist")
        return found.body, found


def _info(key: str, found: _Object, sha256: str | None) -> ObjectInfo:
    return ObjectInfo(key, len(found.body or b""), sha256, found.modified, found.etag)
