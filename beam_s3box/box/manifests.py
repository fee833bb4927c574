"""The manifests of a box: named by the caller, and written once; the same call again returns the same ones."""

from __future__ import annotations

import hashlib
import threading
from typing import Final

from beam_s3box.engine.manifests import Manifest, Manifests, plan_manifests, render_manifest, split_evenly
from beam_s3box.engine.publish import described
from beam_s3box.engine.uploads import put_once
from beam_s3box.errors import AccessError, ConfigurationError, ObjectExistsError
from beam_s3box.shards.model import ShardFile
from beam_s3box.stores import Store
from beam_s3box.stores.base import check_key

_CONTENT_TYPE: Final = "application/json"
_RESERVED: Final = ("data", "dead-letters", "runs")
"""Folders of the layout: data and manifests never share a prefix, so that a COPY by prefix reads no manifest."""


def check_manifest_key(key: str) -> str:
    """Return the key that names manifests, relative to the box.

    Raises:
      ConfigurationError: it is a URL, absolute, has empty or relative components, or is in a folder of the layout.
    """
    if not isinstance(key, str) or "://" in key:
        raise ConfigurationError(
            f"key={key!r} must be relative to the destination, such as 'data_locations', and not a URL"
        )
    if key.partition("/")[0] in _RESERVED and "/" in key:
        raise ConfigurationError(f"key={key!r} must not lie under {', '.join(f'{name}/' for name in _RESERVED)}")
    return check_key(key)


def check_manifest_count(count: int) -> int:
    """Return the number of manifests.

    Raises:
      ConfigurationError: it is not a whole number of at least 1.
    """
    return Manifests("run", count).count


class ManifestWriter:
    """Writes the manifests of one box, `{key}_{i}.manifest`, create-only. Safe from many threads.

    The shards of a box are published under one key: manifests with another key or count would list them again, and a
    COPY of both would load them twice.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        # reentrant: an interrupted call of the same thread may still hold it
        self._lock = threading.RLock()
        self._begun: tuple[str, int] | None = None
        self._written: list[Manifest] = []

    @property
    def written(self) -> list[Manifest]:
        """The manifests in the store."""
        return list(self._written)

    def write(self, files: list[ShardFile], key: str, count: int) -> list[tuple[Manifest, list[ShardFile]]]:
        """Write the manifests and return them, each with its shards; no manifests if there are no shards.

        Raises:
          ConfigurationError: manifests with another key or count were begun before.
          ObjectExistsError: another box wrote manifests with this key; nothing was written: try another key.
          StoreError: the store rejected it or failed; the same call again writes what is missing.
        """
        lists = split_evenly(files, count)
        with self._lock:
            if not lists:
                return []
            is_first = self._begin(key, len(lists))
            for number, part in enumerate(lists[len(self._written) :], len(self._written)):
                self._written.append(self._write_one(part, key, number, may_change=is_first and number == 0))
            return list(zip(self._written, lists, strict=True))

    def _begin(self, key: str, count: int) -> bool:
        """Remember key and count of the manifests, and return whether these are the first."""
        if self._begun is not None and self._begun != (key, count):
            raise ConfigurationError(
                f"key={key!r} and count={count} differ from the {self._begun[1]} manifest(s) with the key "
                f"{self._begun[0]!r} that were begun for this box: they would list its shards again, and COPY would "
                "load them twice"
            )
        is_first = self._begun is None
        self._begun = key, count
        return is_first

    def _write_one(self, files: list[ShardFile], key: str, number: int, *, may_change: bool) -> Manifest:
        name = f"{key}_{number}.manifest"
        [plan] = plan_manifests(None, "", 0, files, 1)
        body = render_manifest(plan.files)
        sha256 = hashlib.sha256(body).hexdigest()
        try:
            put_once(self._store, name, body, sha256, _CONTENT_TYPE)
        except (ObjectExistsError, AccessError) as exc:
            if may_change:
                # this box has written nothing under the key, so another key makes no second list
                self._begun = None
            if isinstance(exc, ObjectExistsError):
                raise ObjectExistsError(
                    f"{self._store.url(name)} exists and lists the shards of another box. The shards of this box are "
                    "uploaded and safe: list them under another key, as with create_manifests() without a key"
                ) from exc
            raise
        return described(self._store, name, sha256, plan)
