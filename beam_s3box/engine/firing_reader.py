"""Reads what an unbounded run lists: the manifests in the store, with the rows that their bundles wrote."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from beam_s3box.engine.listed_text import shards_of_manifest
from beam_s3box.engine.manifests import Manifest
from beam_s3box.engine.shard_lists import ListedShard, read_shards
from beam_s3box.errors import ObjectNotFoundError
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import size_of
from beam_s3box.stores import Store
from beam_s3box.system.threads import Threads

_READERS: Final = 16
_NAME = re.compile(r"(?:[^/]+/[^/]+/)?\d{8,}-\d{5,}\.manifest", re.ASCII)


class Firing(NamedTuple):
    """One manifest of an unbounded run, and the shards that it lists."""

    manifest: Manifest
    shards: Sequence[ListedShard]


def read_firings(store: Store, layout: Layout) -> Iterator[Firing]:
    """Yield each manifest of an unbounded run that is in the store, in the order of their bundles.

    Rows count if their manifest is the one in the store, by its digest: a bundle that was done again may have written
    rows of a manifest that was replaced or removed since. A manifest without rows, of an earlier version or of a worker
    that ended in between, is read itself.

    Args:
      store: where it is.
      layout: of the run.

    Raises:
      StoreError: the store refused or failed, after its retries.
    """
    digests = _digests(store, layout)
    for info in store.list(layout.firing_folder):
        for key, group in itertools.groupby(read_shards(store, info.key), lambda row: row.manifest):
            rows = list(group)
            if digests.get(key) == rows[0].manifest_sha256:
                del digests[key]
                yield Firing(_described(store, layout, key, rows), rows)
    for key in sorted(digests):
        with contextlib.suppress(ObjectNotFoundError):  # removed since
            body = store.get(key)
            yield _read(store, layout, key, body)


def _digests(store: Store, layout: Layout) -> dict[str, str]:
    """Return the digests of the manifests in the store, by key."""
    folder = f"manifests/{layout.run_id}/"
    keys = [info.key for info in store.list(folder) if _NAME.fullmatch(info.key.removeprefix(folder))]
    threads = Threads(_READERS, "beam_s3box-firings")
    return {key: digest for key, digest in threads.map(lambda key: (key, _digest(store, key)), keys) if digest}


def _digest(store: Store, key: str) -> str:
    """Return the digest of an object, "" if it was removed since."""
    try:
        return hashlib.sha256(store.get(key)).hexdigest()
    except ObjectNotFoundError:
        return ""


def _read(store: Store, layout: Layout, key: str, body: bytes) -> Firing:
    sha256 = hashlib.sha256(body).hexdigest()
    *folders, _ = key.removeprefix(f"manifests/{layout.run_id}/").split("/")
    domain, namespace = folders or (None, None)
    bare = Manifest(domain, namespace, "", 0, store.url(key), key, 0, 0, 0, 0, sha256)
    rows = list(shards_of_manifest(store, bare, body))
    return Firing(_summed(bare, rows), rows)


def _described(store: Store, layout: Layout, key: str, rows: Sequence[ListedShard]) -> Manifest:
    first = rows[0]
    is_of_stream = "/" in key.removeprefix(f"manifests/{layout.run_id}/")
    bare = Manifest(
        first.shard.domain if is_of_stream else None,
        first.shard.namespace if is_of_stream else None,
        first.shard.window,
        first.pane,
        store.url(key),
        key,
        0,
        0,
        0,
        0,
        first.manifest_sha256,
    )
    return _summed(bare, rows)


def _summed(bare: Manifest, rows: Sequence[ListedShard]) -> Manifest:
    size = size_of(row.shard for row in rows)
    return bare._replace(
        shards=len(rows), records=size.records, raw_bytes=size.raw_bytes, object_bytes=size.object_bytes
    )
