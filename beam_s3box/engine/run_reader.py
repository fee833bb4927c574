"""Reads runs back: their records, manifests, shards and dead letters, of this version and of earlier ones."""

from __future__ import annotations

import dataclasses
import difflib
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from beam_s3box.engine.firing_reader import Firing, read_firings
from beam_s3box.engine.listed_text import shards_of_manifest
from beam_s3box.engine.manifests import Manifest
from beam_s3box.engine.run_record import RunRecord
from beam_s3box.engine.shard_lists import ListedShard, read_shards
from beam_s3box.errors import ConfigurationError, ObjectNotFoundError, StoreError, TransientStoreError
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.runs import check_run_id
from beam_s3box.stores import ObjectInfo, Store
from beam_s3box.stores.folders import list_folder
from beam_s3box.system.threads import Threads

_LOGGER = logging.getLogger(__name__)
_READERS: Final = 16
_SHOWN: Final = 5
"""Runs that an error names."""

_FOLDER: Final = "runs/"
_RECORD = re.compile(r"runs/(?P<run_id>[^/]+)\.json")
_RECORD_URL = re.compile(r"(?P<destination>.+)/runs/(?P<run_id>[^/]+)\.json", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Run:
    """One run in a store.

    Attributes:
      store: where it is.
      record: its record as it was read.
      info: the properties of the record's object; its ETag is what a change of the record names.
    """

    store: Store
    record: RunRecord
    info: ObjectInfo

    @property
    def run_id(self) -> str:
        """The name of the run."""
        return self.record.run_id

    @property
    def layout(self) -> Layout:
        """The keys of what the run has next to its shards."""
        return Layout(self.run_id)

    def manifests(self) -> Iterator[Manifest]:
        """Yield the manifests that count: those of its record, or of an unbounded run those in the store.

        Raises:
          StoreError: the store refused or failed, after its retries.
        """
        if self.record.bounded:
            yield from self.record.manifests
        else:
            for firing in self.firings():
                yield firing.manifest

    def shards(self) -> Iterator[ListedShard]:
        """Yield each shard that the manifests list once, or that a run without manifests has written.

        A record of an earlier version has no lists: then manifests are read, which know URL, size and records of a
        shard, and not its digest; domain and namespace are then the names of its folders.

        Raises:
          S3BoxError: a list or a manifest was changed or damaged.
          StoreError: the store refused or failed, after its retries.
        """
        if not self.record.bounded:
            for firing in self.firings():
                yield from firing.shards
        elif self.record.shard_lists:
            yield from self._shards_of_lists()
        else:
            for manifest in self.record.manifests:
                yield from shards_of_manifest(self.store, manifest, self.store.get(manifest.key))

    def firings(self) -> Iterator[Firing]:
        """Yield the manifests of an unbounded run that are in the store, each with its shards; none of a bounded run.

        Raises:
          StoreError: the store refused or failed, after its retries.
        """
        return iter(()) if self.record.bounded else read_firings(self.store, self.layout)

    def dead_letter_files(self) -> Iterator[ObjectInfo]:
        """Yield the files of dead letters; with bundles that were done again, they may hold a dead letter twice.

        Raises:
          StoreError: the store refused or failed, after its retries.
        """
        return self.store.list(self.layout.dead_letter_folder)

    def _shards_of_lists(self) -> Iterator[ListedShard]:
        """Yield the rows of the lists, without those of manifests that do not count.

        A runner with at-least-once delivery may have delivered rows twice; their number shows it.
        """
        digests, lists = self.record.digests, self.record.shard_lists
        seen: set[str] | None = set() if sum(one.shards for one in lists) != self.record.shards else None
        for one in lists:
            for listed in read_shards(self.store, one.key, one.sha256):
                if listed.manifest and digests.get(listed.manifest) != listed.manifest_sha256:
                    continue
                if seen is not None:
                    if listed.shard.key in seen:
                        continue
                    seen.add(listed.shard.key)
                yield listed


class UnreadRun(NamedTuple):
    """An object among the records of runs that could not be read.

    Attributes:
      run_id: the run that would have this record.
      reason: names the object, and says what is wrong.
      is_record: whether it may well be a record: the store does not give it. Otherwise it is something else.
    """

    run_id: str
    reason: str
    is_record: bool


def list_runs(store: Store, newest: int | None = None, unread: list[UnreadRun] | None = None) -> list[Run]:
    """Return the runs below a destination, the one that began last first.

    Args:
      store: the destination.
      newest: read only as many records, those that changed last; default: all.
      unread: takes what can't be read; None for a warning about each.

    Raises:
      StoreError: the store refused or failed, after its retries.
    """
    found = sorted(_records(store), key=lambda info: info.modified, reverse=True)[:newest]
    threads = Threads(_READERS, "beam_s3box-runs")
    read = list(threads.map(lambda info: try_run(store, _id_of(info)), found))
    runs = [run for run in read if isinstance(run, Run)]
    for one in (one for one in read if isinstance(one, UnreadRun)):
        if unread is not None:
            unread.append(one)
        else:
            _LOGGER.warning("passed over: %s", one.reason)
    return sorted(runs, key=lambda run: (run.record.began, run.info.modified), reverse=True)


def find_run(store: Store, run_id: str | None = None, wanted: Callable[[Run], bool] | None = None) -> Run:
    """Return the run of this id, or the newest that finished.

    Args:
      store: the destination.
      run_id: the name of the run; None for the one that finished last.
      wanted: which of them is preferred, where none is named; the newest of all if none is like that.

    Raises:
      ConfigurationError: there is no such run; names those that exist.
      StoreError: the store refused or failed, after its retries.
    """
    if run_id is None:
        return _newest_finished(store, wanted or (lambda run: True))
    run = read_run(store, check_run_id(run_id))
    if run is None:
        raise ConfigurationError(f"run_id={run_id!r} names no run below {store.root}{_known(store, run_id)}")
    return run


def run_of_url(url: str) -> tuple[str, str | None]:
    """Return destination and run id of the URL of a run's record; for other URLs, the URL and None."""
    match = _RECORD_URL.fullmatch(url)
    return (match["destination"], match["run_id"]) if match else (url, None)


def _newest_finished(store: Store, wanted: Callable[[Run], bool]) -> Run:
    newest: Run | None = None
    found = sorted(_records(store), key=lambda info: info.modified, reverse=True)
    for info in found:
        try:
            run = read_run(store, _id_of(info))
        except ConfigurationError as exc:
            _LOGGER.warning("passed over: %s", exc)
            continue
        if run is not None and run.record.state == "finished":
            if wanted(run):
                return run
            newest = newest or run
    if newest is not None:
        return newest
    what = f"none of the {len(found):,} runs below {store.root} has finished" if found else f"no run below {store.root}"
    raise ConfigurationError(f"{what}{_named(found)}: give run_id, or another destination")


def _known(store: Store, run_id: str) -> str:
    """Return which runs exist, and which one is probably meant."""
    found = sorted(_records(store), key=lambda info: info.modified, reverse=True)
    close = difflib.get_close_matches(run_id, [_id_of(info) for info in found], 1)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    return f"{_named(found) or ', which has no runs'}{meant}"


def _named(found: list[ObjectInfo]) -> str:
    if not found:
        return ""
    more = f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    return f", which has {', '.join(map(_id_of, found[:_SHOWN]))}{more}"


def _id_of(info: ObjectInfo) -> str:
    return info.key.removeprefix(_FOLDER).removesuffix(".json")


def _records(store: Store) -> Iterable[ObjectInfo]:
    return (info for info in list_folder(store, _FOLDER) if _RECORD.fullmatch(info.key))


def read_run(store: Store, run_id: str) -> Run | None:
    """Return a run, None if it has no record.

    Raises:
      ConfigurationError: the object is not the record of a run.
      StoreError: the store refused or failed, after its retries.
    """
    key = Layout(run_id).run
    try:
        body, info = store.read(key)
    except ObjectNotFoundError:
        return None
    return Run(store, RunRecord.parse(store.url(key), body), info)


def try_run(store: Store, run_id: str) -> Run | UnreadRun | None:
    """Return a run, None if it has no record; or why that can't be read, if only that object is to blame for it.

    Raises:
      TransientStoreError: the store failed, after its retries.
    """
    try:
        return read_run(store, run_id)
    except TransientStoreError:
        raise
    except (ConfigurationError, StoreError) as exc:
        return UnreadRun(run_id, str(exc), is_record=isinstance(exc, StoreError))
