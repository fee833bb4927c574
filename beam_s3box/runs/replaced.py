"""What compactions have replaced, by the marks next to a run's record and the texts of manifests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import orjson

from beam_s3box.engine.manifests import Replaced
from beam_s3box.engine.run_reader import Run, read_run
from beam_s3box.errors import ObjectNotFoundError, S3BoxError
from beam_s3box.shards.keys import Layout
from beam_s3box.stores import Store
from beam_s3box.system.threads import Threads

WHOLE: Final = ("", "")
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


def compacted_manifests(store: Store, layout: Layout) -> dict[tuple[str, str], str]:
    """Return by which compaction each manifest of a run is replaced, by its URL and digest.

    One of a run without manifests replaces all of it: then the key is `WHOLE`.

    Raises:
      S3BoxError: a manifest of a compaction was changed.
      StoreError: the store refused or failed, after its retries.
    """
    found: dict[tuple[str, str], str] = {}
    for run in compactions_of(store, layout):
        if not run.record.manifests:
            found[WHOLE] = run.run_id
        found.update(((row.url, row.sha256), run.run_id) for row in replaced_by(store, _keys_of(run)))
    return found


def compaction_with_what_is_gone(run: Run) -> str:
    """Return the id of the compaction that replaced shards of a run which don't exist any more; "" if there is none.

    Raises:
      S3BoxError: a list, or a manifest of a compaction, was changed.
      StoreError: the store refused or failed, after its retries.
    """
    done = compacted_manifests(run.store, run.layout)
    for row in run.shards() if done else ():
        by = done.get((run.store.url(row.manifest), row.manifest_sha256) if row.manifest else WHOLE)
        if by is not None:
            # `gc` removes all of them
            try:
                run.store.stat(row.shard.key)
            except ObjectNotFoundError:
                return by
            return ""
    return ""


def _keys_of(run: Run) -> Iterator[str]:
    return (manifest.key for manifest in run.manifests())


def replaced_by(store: Store, keys: Iterable[str]) -> Iterator[Replaced]:
    """Yield what the manifests with these keys replace, by their texts: nothing but for those of a compaction.

    Raises:
      S3BoxError: a manifest was changed.
      StoreError: the store refused or failed, after its retries.
    """
    threads = Threads(_READERS, "beam_s3box-replaced")
    for key, body in threads.map_ahead(lambda key: (key, store.get(key)), keys, 2 * _READERS):
        try:
            rows = orjson.loads(body).get("replaces", ())
            yield from (Replaced(row["url"], row["sha256"], row["records"]) for row in rows)
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as exc:
            raise S3BoxError(f"{store.url(key)} is not a manifest ({type(exc).__name__}: {exc})") from exc
