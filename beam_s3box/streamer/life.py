"""The record of one streamer's life, next to the files that it uploads: when it began and ended, and what it uploaded.

It is no part of what a streamer guarantees: uploads do not wait for it, and go on where it can't be written, such as
without permission to write below `runs/`. What keeps it from being written is passed to `threading.excepthook`, once.
"""

from __future__ import annotations

import dataclasses
import datetime
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.manifests import Manifest
from beam_s3box.engine.run_record import RunDetail, RunOrigin, RunRecord
from beam_s3box.engine.run_settings import without_secrets
from beam_s3box.engine.run_totals import RunInput, StreamTotals
from beam_s3box.engine.shard_lists import write_firings
from beam_s3box.engine.shard_rows import rows_of
from beam_s3box.errors import AccessError, ObjectNotFoundError, S3BoxError
from beam_s3box.records.streams import Stream
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import ShardFile, Size
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import Store
from beam_s3box.streamer.events import BufferFile, report
from beam_s3box.streamer.guard import synchronized
from beam_s3box.streamer.lock import FolderLock
from beam_s3box.system.outside import wall_seconds
from beam_s3box.system.threads import start_thread

_KIND = "JsonBufferStreamer"
_END_SECONDS = 10.0
"""How long `shut_down` waits for the record, at most; the next life on the folder ends it otherwise."""


class KnowsItsStore(Protocol):
    """What a record needs of an uploader; `StoreUploader` has it."""

    @property
    def store(self) -> Store:
        """The store of the files."""
        ...

    def layout(self, run_id: str) -> Layout:
        """Return the layout of keys for a run id."""
        ...


class Life:
    """Writes the record of one streamer; threads may call it at the same time.

    Args:
      uploader: of the streamer; None for one that does not know its store: then there is no record.
      lock: of the folder; knows the name of this life and of the one before.
      settings: what the user chose.
    """

    def __init__(self, uploader: KnowsItsStore | None, lock: FolderLock, **settings: Any) -> None:
        self._uploader = uploader
        self._lock = lock
        self._settings = without_secrets(settings)
        self._claim: RunClaim | None = None
        self._begun = False
        self._off = uploader is None
        self._reported = False
        self._streams: dict[Stream, StreamTotals] = {}
        self._guard = threading.Lock()

    @synchronized
    def note(self, file: BufferFile | None) -> None:
        """Take note of a file that is uploaded, if any; the record is written with the first."""
        if file is None:
            return
        key = Stream(file.domain, file.namespace)
        before = self._streams.get(key) or StreamTotals(domain=key.domain, namespace=key.namespace)
        self._streams[key] = dataclasses.replace(
            before,
            records=before.records + file.records,
            shards=before.shards + 1,
            raw_bytes=before.raw_bytes + file.raw_bytes,
            object_bytes=before.object_bytes + file.size,
        )
        if not self._begun and not self._off:
            self._try(self._begin)

    def end(self, timeout: float | None) -> None:
        """Say that the life has ended in order, and what it uploaded; wait for that no longer than the timeout."""
        if not self._begun or self._off:
            return
        ended = threading.Lock()
        ended.acquire()

        def work() -> None:
            try:
                self._try(self._end)
            finally:
                ended.release()

        try:
            start_thread(work, "beam_s3box end of a run")
        except RuntimeError:
            work()  # as at the end of a process
        ended.acquire(timeout=_END_SECONDS if timeout is None else min(max(timeout, 0), _END_SECONDS))

    def list_shards(self, store: Store, layout: Layout, listed: Sequence[tuple[Manifest, Sequence[ShardFile]]]) -> None:
        """Write the rows of the files that manifests list; where that is not allowed, the manifests have to do.

        Raises:
          StoreError: the store refused or failed, after its retries.
        """
        if self._off or not listed:
            return
        now = wall_seconds()
        moment = f"{datetime.datetime.fromtimestamp(now, datetime.UTC):%Y%m%dT%H%M%SZ}"
        try:
            write_firings(store, layout, moment, [rows.segment for rows in rows_of(listed, now)])
        except AccessError as exc:
            self._report(exc)

    def _try(self, step: Callable[[KnowsItsStore], None]) -> None:
        if self._uploader is None:
            return
        try:
            step(self._uploader)
        except S3BoxError as exc:
            self._report(exc)

    def _report(self, error: S3BoxError) -> None:
        """Report the first error; without permission there is no record from now on."""
        self._off = self._off or isinstance(error, AccessError)
        if not self._reported:
            self._reported = True
            error.add_note(f"the record of the streamer's run {self._lock.run_id} could not be written; uploads go on")
            report(error)

    def _begin(self, uploader: KnowsItsStore) -> None:
        from beam_s3box import __version__

        parent = self._lock.before
        origin = RunOrigin(kind=_KIND, version=__version__, settings=self._settings, parent=parent)
        layout = uploader.layout(self._lock.run_id)
        claim = RunClaim(layout, new_token(), bounded=False, named=False, origin=origin)
        claim.take(uploader.store)
        self._claim, self._begun = claim, True
        if parent is not None:
            self._close_before(uploader.store, uploader.layout(parent))

    def _close_before(self, store: Store, layout: Layout) -> None:
        """Say in the record of the life before that it has ended, if it could not do that on its own."""
        try:
            record = RunRecord.parse(store.url(layout.run), store.get(layout.run))
        except (ObjectNotFoundError, AccessError):
            return
        claim = RunClaim(layout, record.attempt, bounded=False)
        claim.fail(store, f"it ended without an orderly shut-down; run {self._lock.run_id} goes on with its folder")

    def _end(self, uploader: KnowsItsStore) -> None:
        if self._claim is None:
            return
        streams = tuple(totals for _, totals in sorted(self._streams.copy().items()))
        records = sum(totals.records for totals in streams)
        shards = sum(totals.shards for totals in streams)
        size = Size(sum(one.object_bytes for one in streams), sum(one.raw_bytes for one in streams), records)
        detail = RunDetail(streams=streams, input=RunInput(accepted=records))
        self._claim.end(uploader.store, detail, size, shards)
