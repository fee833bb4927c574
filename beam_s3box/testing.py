"""Fakes for tests of pipelines that write with this package: a store that fails on purpose."""

from __future__ import annotations

import dataclasses
import fnmatch
import itertools
from collections.abc import Iterator
from typing import Literal

from beam_s3box.errors import StoreError, TransientStoreError
from beam_s3box.stores import ObjectInfo, Store

_PUTS: dict[str, itertools.count[int]] = {}


@dataclasses.dataclass(frozen=True)
class FailingStore:
    """A wrapper around another store that fails on some writes.

    Attributes:
      store: the store that has the objects.
      keys: a pattern such as `"data/*"`; only writes to matching keys may fail.
      succeed: number of these writes that succeed first.
      fail: number of the writes after them that fail; None for all.
      error: the class of the error that they raise.
      when: "before": nothing is written; "after": the object is written and the response is lost.
    """

    store: Store
    keys: str = "*"
    succeed: int = 0
    fail: int | None = None
    error: type[StoreError] = TransientStoreError
    when: Literal["before", "after"] = "before"

    @property
    def root(self) -> str:
        """URL of the root."""
        return self.store.root

    def url(self, key: str) -> str:
        """Return the URL of a key."""
        return self.store.url(key)

    @property
    def conditional_create(self) -> bool:
        """The property of the wrapped store."""
        return self.store.conditional_create

    @property
    def conditional_replace(self) -> bool:
        """The property of the wrapped store."""
        return self.store.conditional_replace

    @property
    def conditional_delete(self) -> bool:
        """The property of the wrapped store."""
        return self.store.conditional_delete

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
        """Write an object, or fail."""
        fails = fnmatch.fnmatchcase(key, self.keys) and self._fails_now()
        if fails and self.when == "before":
            raise self._error(key)
        attempts = self.store.put(
            key, body, sha256=sha256, content_type=content_type, replace=replace, if_match=if_match
        )
        if fails:
            raise self._error(key)
        return attempts

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        return self.store.get(key)

    def read(self, key: str) -> tuple[bytes, ObjectInfo]:
        """Return an object's bytes and its properties."""
        return self.store.read(key)

    def stat(self, key: str) -> ObjectInfo:
        """Return the properties of an object."""
        return self.store.stat(key)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key starts with the prefix, by key."""
        return self.store.list(prefix)

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Remove an object, if it exists."""
        self.store.delete(key, if_match=if_match)

    @property
    def clock_resolution(self) -> float:
        """The property of the wrapped store."""
        return self.store.clock_resolution

    def now(self) -> float:
        """Return the time by the store's clock."""
        return self.store.now()

    def check_writable(self) -> None:
        """Raise the error that a write to the wrapped store would raise."""
        self.store.check_writable()

    def _fails_now(self) -> bool:
        number = next(_PUTS.setdefault(self.root, itertools.count(1)))
        return number > self.succeed and (self.fail is None or number <= self.succeed + self.fail)

    def _error(self, key: str) -> StoreError:
        return self.error(f"PutObject {self.url(key)} failed on purpose")
