"""Removes what belongs to nobody. It may run at any time, several times at once, and next to runs that write.

1. All records are read, and each run is judged: a run whose objects are all old, and which gives no sign of life, is
   marked as failed under the ETag of its record. From then on it can't finish.
2. Everything that counts is noted: the shards of all manifests that count, but for those of manifests that a
   compaction has replaced long ago.
3. What is not noted, is old, and belongs to a run that is over, is deleted. What an unbounded run left that was marked
   as failed just now is left for the next time: its processes look at the record first.

Objects are compared with `older_than` by the store's clock. So what a run writes while this works is never touched.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from beam_s3box import metrics
from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.run_reader import read_run
from beam_s3box.engine.run_record import STREAMER
from beam_s3box.engine.shard_lists import ListedShard
from beam_s3box.engine.signs_of_life import FENCE_SECONDS
from beam_s3box.errors import ConfigurationError, ObjectChangedError, S3BoxError, TransientStoreError
from beam_s3box.metrics import MemoryMetrics, Metrics
from beam_s3box.runs.gc.freed import LISTS, MANIFESTS, MARKS, REPLACED, SHARDS, UPLOADS, Amount, Freed
from beam_s3box.runs.gc.key_set import KeySet
from beam_s3box.runs.gc.replacements import Replacements
from beam_s3box.runs.gc.run_states import RunState, RunStates
from beam_s3box.shards.keys import DOCTOR_FOLDER, Layout
from beam_s3box.stores import LocalStore, Store
from beam_s3box.stores.deletions import BATCH_KEYS, NotDeleted, delete_keys
from beam_s3box.stores.s3_check import CHECK_KEY
from beam_s3box.stores.s3_uploads import abort_upload, bytes_of_upload, unfinished_uploads
from beam_s3box.system.threads import Threads

DEFAULT_OLDER_THAN: Final = 2 * 86_400.0
MIN_SILENT_SECONDS: Final = 3_600.0
"""What wrote something since may be alive, however young its garbage may be: a stream gives signs of life more
often, and a bounded run mostly writes more often."""

_DELETERS: Final = 8
_MANIFEST = re.compile(r"manifests/(?P<run_id>[^/]+)/.+\.manifest")


class _Garbage(NamedTuple):
    """An object to delete: whose it is, what kind, its key and size; with an ETag, only that version."""

    run_id: str
    kind: str
    key: str
    size: int
    etag: str = ""


@dataclasses.dataclass
class Collector:
    """Removes what belongs to nobody below one destination.

    Attributes:
      store: the destination.
      older_than: only what is older, in seconds.
      is_dry: whether nothing is changed.
      dead_runs: ids of runs of which the user says that no process of them is alive.
      min_silent_seconds: a run is dead after `older_than`, and not before so many seconds without a sign of life.
      fence_seconds: how long what an unbounded run left is kept after the run was marked as failed.
      counts: takes the figures while it works.

    Raises:
      ConfigurationError: a run that is named as dead does not exist.
    """

    store: Store
    older_than: float = DEFAULT_OLDER_THAN
    is_dry: bool = False
    dead_runs: tuple[str, ...] = ()
    fence_seconds: float = FENCE_SECONDS
    min_silent_seconds: float = MIN_SILENT_SECONDS
    counts: Metrics = dataclasses.field(default_factory=MemoryMetrics)

    def collect(self) -> Freed:
        """Remove it, and return what was removed.

        Raises:
          ConfigurationError: a run that is named as dead does not exist.
          StoreError: the store refused or failed, after its retries; what was removed until then is gone.
        """
        self._freed = Freed(self.store.root, self.is_dry)
        self._damaged: set[str] = set()
        now = self.store.now()
        silent = max(self.older_than, self.min_silent_seconds)
        self._limit = now - self.older_than - self.store.clock_resolution
        self._silent_limit = now - silent - self.store.clock_resolution
        self._runs = RunStates(self.store)
        missing = sorted(set(self.dead_runs) - self._runs.by_id.keys())
        if missing:
            raise ConfigurationError(f"dead_run={missing[0]!r} names no run below {self.store.root}")
        self._runs.judge(now, self.older_than, silent, self.fence_seconds, self.dead_runs)
        self._mark_dead()
        self._report_left()
        self._delete(self._garbage())
        self._abort_uploads()
        return self._freed

    def _mark_dead(self) -> None:
        """Mark dead runs as failed, so that none of their processes can list anything."""
        for state in self._runs:
            if state.fate != "dead":
                continue
            reason = f"marked as failed by a garbage collection: {state.why}"
            if not self.is_dry:
                RunClaim(state.layout, state.attempt, bounded=state.bounded).fail(self.store, reason)
                run = read_run(self.store, state.run_id)
                if run is None or run.record.state != "failed" or run.record.attempt != state.attempt:
                    state.fate = "live"  # it has finished, or another execution has taken it over
                    continue
            self._freed.marked[state.run_id] = state.why
            # a bounded run that failed can't finish; processes of an unbounded one still have to see it
            state.state = "failed"
            state.fate = "over" if state.bounded and self.store.conditional_replace else "live"

    def _report_left(self) -> None:
        for state in self._runs:
            if state.fate == "silent" or (state.fate == "kept" and state.changed < self._limit):
                self._freed.left[state.run_id] = state.why
        for one in self._runs.unread:
            self._freed.left[one.run_id if one.is_record else Layout(one.run_id).run] = one.reason

    def _leave(self, state: RunState, reason: str) -> None:
        """Leave all of a run whose lists or manifests can't be read: nobody knows what counts of it.

        A streamer lists what the one before it on the folder left as well: then these stay, too.
        """
        self._freed.left[state.run_id] = reason
        self._damaged.add(state.run_id)
        state.fate = "live"
        for other in self._runs:
            if state.kind == other.kind == STREAMER:
                other.fate = "live"

    def _garbage(self) -> Iterator[_Garbage]:
        replaced = Replacements(self.store, self._runs, self._limit)
        for run_id, reason in replaced.damaged.items():
            self._leave(self._runs.by_id[run_id], reason)
        listed = KeySet()
        for state in self._runs:
            for row in self._rows_that_count(state):
                if not replaced.has(state.run_id, row):
                    listed.add(row.shard.key)
        for state in self._runs:
            # what is over has all of its shards looked at below
            if state.fate != "over" and state.run_id in replaced:
                for row in self._rows_that_count(state):
                    if replaced.has(state.run_id, row) and row.shard.key not in listed:
                        yield _Garbage(state.run_id, REPLACED, row.shard.key, row.shard.object_bytes)
        yield from self._unlisted(listed, replaced)
        yield from self._beside_records()
        yield from self._manifests()

    def _rows_that_count(self, state: RunState) -> Iterator[ListedShard]:
        """Yield the shards that a run lists, as its record says now; a run where these can't be read is left."""
        if state.run_id in self._damaged:
            return
        try:
            run = read_run(self.store, state.run_id)
            if run is not None and (not run.record.bounded or run.record.state == "finished"):
                yield from run.shards()
        except TransientStoreError:
            raise
        except S3BoxError as exc:
            self._leave(state, str(exc))

    def _unlisted(self, listed: KeySet, replaced: Replacements) -> Iterator[_Garbage]:
        for folder in self._runs.folders:
            for info in self.store.list(folder):
                self.counts.count(metrics.FILES_FOUND)
                state = self._runs.owner(info.key)
                if state is None:
                    self._freed.unknown = self._freed.unknown.plus(Amount(1, info.size))
                elif state.fate == "over" and info.modified < self._limit and info.key not in listed:
                    kind = REPLACED if state.run_id in replaced else SHARDS
                    yield _Garbage(state.run_id, kind, info.key, info.size)

    def _beside_records(self) -> Iterator[_Garbage]:
        """Yield lists that no record names, marks, signs of life, and files of writes that did not end."""
        for info in self.store.list("runs/"):
            state = self._runs.by_id.get(info.key.split("/")[1])
            if state is None or state.fate not in ("over", "kept") or info.modified >= self._limit:
                continue
            layout = state.layout
            if info.key == layout.stop or info.key.startswith((layout.alive_folder, layout.rollback_folder)):
                yield _Garbage(state.run_id, MARKS, info.key, info.size)
            elif info.key.startswith(f"{layout.run_folder}shards-") and info.key not in state.shard_lists:
                yield _Garbage(state.run_id, LISTS, info.key, info.size)
        for prefix in (CHECK_KEY, DOCTOR_FOLDER):
            for info in self.store.list(prefix):
                if _is_of_a_check(info.key) and info.modified < self._silent_limit:
                    yield _Garbage("", MARKS, info.key, info.size)
        for info in self.store.unfinished() if isinstance(self.store, LocalStore) else ():
            if info.modified < self._silent_limit:
                yield _Garbage("", UPLOADS, info.key, info.size)

    def _manifests(self) -> Iterator[_Garbage]:
        """Yield the manifests of bounded runs that failed; another execution may replace one meanwhile."""
        for info in self.store.list("manifests/"):
            match = _MANIFEST.fullmatch(info.key)
            state = self._runs.by_id.get(match["run_id"]) if match else None
            has_failed = state is not None and state.bounded and state.state == "failed" and state.fate == "over"
            if state is not None and has_failed and info.modified < self._limit:
                yield _Garbage(state.run_id, MANIFESTS, info.key, info.size, info.etag)

    def _delete(self, garbage: Iterable[_Garbage]) -> None:
        threads = Threads(_DELETERS, "beam_s3box-delete")
        for batch, failed in threads.map_ahead(self._delete_batch, _batches(garbage), 2 * _DELETERS):
            left = {one.key for one in failed}
            for one in batch:
                if one.key not in left:
                    self._freed.add(one.run_id, one.kind, one.size)
            self._freed.fail(failed)

    def _delete_batch(self, batch: list[_Garbage]) -> tuple[list[_Garbage], list[NotDeleted]]:
        failed: list[NotDeleted] = []
        if not self.is_dry:
            failed = delete_keys(self.store, [one.key for one in batch if not one.etag])
            for one in batch:
                if one.etag:
                    failed += self._delete_version(one)
        self.counts.count(metrics.SHARDS, len(batch) - len(failed))
        self.counts.count(metrics.OBJECT_BYTES, sum(one.size for one in batch))
        return batch, failed

    def _delete_version(self, one: _Garbage) -> list[NotDeleted]:
        try:
            self.store.delete(one.key, if_match=one.etag)
        except ObjectChangedError:
            return [NotDeleted(one.key, "another execution of its run has written it again")]
        return []

    def _abort_uploads(self) -> None:
        for upload in unfinished_uploads(self.store):
            owner = self._owner_of_upload(upload.key)
            if owner is None:
                continue
            state = self._runs.by_id.get(owner)
            if upload.began < (self._limit if state is not None and state.fate == "over" else self._silent_limit):
                self._freed.add(owner, UPLOADS, bytes_of_upload(self.store, upload))
                if not self.is_dry:
                    abort_upload(self.store, upload)

    def _owner_of_upload(self, key: str) -> str | None:
        """Return the run that an upload belongs to, "" for the check of a destination, None if it is not ours."""
        if _is_of_a_check(key):
            return ""
        state = self._runs.owner(key)
        folders = key.split("/")
        if state is None and len(folders) > 1 and folders[0] in ("manifests", "dead-letters", "runs"):
            state = self._runs.by_id.get(folders[1].removesuffix(".json"))
        return None if state is None else state.run_id


def _is_of_a_check(key: str) -> bool:
    return key == CHECK_KEY or key.startswith(DOCTOR_FOLDER)


def _batches(garbage: Iterable[_Garbage]) -> Iterator[list[_Garbage]]:
    batch: list[_Garbage] = []
    for one in garbage:
        batch.append(one)
        if len(batch) == BATCH_KEYS:
            yield batch
            batch = []
    if batch:
        yield batch
