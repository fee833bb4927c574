"""The objects of one examination: below a folder of their own, and removed at its end."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import pathlib
import time
from collections.abc import Iterator
from typing import Final

from beam_s3box.errors import S3BoxError
from beam_s3box.shards.keys import DOCTOR_FOLDER
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import LocalStore, ObjectInfo, Store

_CONTENT_TYPE: Final = "text/plain"
_OLD_SECONDS: Final = 3_600.0
"""After which objects of another examination are left over: none takes that long."""


class Folder:
    """Writes objects and knows their keys, so that none is left. Safe for use by many threads.

    Args:
      store: where.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.prefix = f"{DOCTOR_FOLDER}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{new_token(8)}/"
        self._numbers = itertools.count()
        self._keys: list[str] = []
        self._new_folders = list(_missing_folders(store, self.prefix))

    @property
    def url(self) -> str:
        """Where the objects are."""
        return self.store.url(self.prefix)

    def key(self, name: str = "object") -> str:
        """Return a new key, whose object is removed at the end."""
        key = f"{self.prefix}{next(self._numbers):03d}-{name}"
        self._keys.append(key)
        return key

    def forget(self, key: str) -> None:
        """Leave a key out at the end, whose write was refused: nothing is there."""
        self._keys.remove(key)

    def remove(self) -> list[str]:
        """Remove all objects, and return the URLs of those that could not be removed."""
        left: list[str] = []
        # what a request that was lost wrote is removed as well; who is interrupted may begin again
        for key in list(self._keys):
            try:
                self.store.delete(key)
            except S3BoxError:
                left.append(self.store.url(key))
            self._keys.remove(key)
        with contextlib.suppress(S3BoxError):  # there may be no right to list
            left += [self.store.url(info.key) for info in self.store.list(self.prefix)]
        for folder in self._new_folders:
            with contextlib.suppress(OSError):  # another one may use it
                folder.rmdir()
        return sorted(set(left))


def put(store: Store, key: str, body: bytes, *, replace: bool = False, if_match: str | None = None) -> None:
    """Write an object; see `Store.put`."""
    sha256 = hashlib.sha256(body).hexdigest()
    store.put(key, body, sha256=sha256, content_type=_CONTENT_TYPE, replace=replace, if_match=if_match)


def _missing_folders(store: Store, prefix: str) -> Iterator[pathlib.Path]:
    """Yield the folders of this machine that the objects need and that do not exist yet, the innermost first."""
    if not isinstance(store, LocalStore):
        return
    folder = pathlib.Path(store.root.removeprefix("file://")) / prefix
    while not folder.exists():
        yield folder
        folder = folder.parent


def left_by_others(own: Folder) -> Iterator[ObjectInfo]:
    """Yield what earlier examinations have left because they were killed.

    Raises:
      StoreError: the store can't be listed.
    """
    now = own.store.now()
    for info in own.store.list(DOCTOR_FOLDER):
        if not info.key.startswith(own.prefix) and info.modified < now - _OLD_SECONDS:
            yield info
