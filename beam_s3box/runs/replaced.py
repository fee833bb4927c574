"""What compactions have replaced, by the marks next to a run's record and the texts of manifests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import orjson

from beam_s3box.engine.manifests import Manifest, Replaced
from beam_s3box.engine.run_reader import Run, read_run
from beam_s3box.errors import S3BoxError
from beam_s3box.shards.keys import Layout
from beam_s3box.stores import Store
from beam_s3box.system.threads import Threads

_READERS: Final = 16


def compactions_of(store: Store, layout: Layout) -> Iterator[Run]:
    """Yield the finished runs that replace manifests of a run.

    Raises:
      StoreError: the store refused or failed, after its retries.
    """
    for info in list(store.list(layout.compacted_folder)):
        run = read_run(store, info.key.removeprefix(layout.compacted_folder))
        if run is not None and run.record.state == "finished" and run.record.parent == layout.run_id:
            yield run


def replaced_by(store: Store, manifests: Iterable[Manifest]) -> Iterator[Replaced]:
    """Yield what these manifests of a compaction replace, by their texts.

    Raises:
      S3BoxError: a manifest was changed.
      StoreError: the store refused or failed, after its retries.
    """
    threads = Threads(_READERS, "beam_s3box-replaced")
    for manifest, body in threads.map_ahead(lambda one: (one, store.get(one.key)), manifests, 2 * _READERS):
        try:
            rows = orjson.loads(body).get("replaces", ())
            yield from (Replaced(row["url"], row["sha256"], row["records"]) for row in rows)
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as exc:
            raise S3BoxError(f"{store.url(manifest.key)} is not a manifest ({type(exc).__name__}: {exc})") from exc
