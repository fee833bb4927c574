"""Claims to a run id and the state of its run: the transitions of `runs/{run_id}.json`, which commits a run.

    (none) --take--> running --finish--> finished
                        |                   ^
                        +--fail--> failed   | finish, by the same attempt, if its manifests are the ones in the store
                        |            |      |
                        +------------+--take by another attempt (bounded runs only)--> running

Every change is create-only or conditional on the ETag of what it replaces. ARCHITECTURE.md describes the protocol.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
from collections.abc import Sequence
from typing import Any, Final

from beam_s3box.engine.manifests import Manifest
from beam_s3box.engine.run_record import NO_DETAIL, UNKNOWN, RunDetail, RunOrigin, RunRecord
from beam_s3box.errors import (
    AccessError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    RunExistsError,
    S3BoxError,
    StoreError,
    TransientStoreError,
)
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import NOTHING, Size
from beam_s3box.stores import ObjectInfo, Store
from beam_s3box.system.outside import wall_seconds
from beam_s3box.system.threads import Threads

_LOGGER = logging.getLogger(__name__)
_CONTENT_TYPE: Final = "application/json"
_READERS: Final = 8
_USE_ANOTHER: Final = "use a new run_id, or another destination"


@dataclasses.dataclass(frozen=True)
class RunClaim:
    """One execution's claim to its run id.

    Attributes:
      layout: the layout of the run.
      attempt: a random token, created when the pipeline is built: work that a runner repeats has the same one.
      bounded: whether the run is bounded.
      named: whether the user chose the run id, so that another execution may use it too.
      origin: what writes the run, for its record.
    """

    layout: Layout
    attempt: str
    bounded: bool = True
    named: bool = True
    origin: RunOrigin = dataclasses.field(default=UNKNOWN, compare=False)

    def check(self, store: Store) -> None:
        """Raise RunExistsError if this execution can't take the run id. It writes nothing."""
        try:
            record, _ = self._read(store)
        except (AccessError, ObjectNotFoundError):
            # without s3:ListBucket, S3 responds with 403 for a key that does not exist; `take` finds out
            return
        self._check_free(record, store)

    def take(self, store: Store) -> None:
        """Record that this execution writes under the run id from now on; it may be repeated.

        A bounded run that another execution began and did not finish is taken over: its manifests are not valid, and
        that execution fails when it tries to finish.

        Raises:
          RunExistsError: the run of this id has finished or is unbounded, or this execution was superseded.
          AccessError: the id is taken, and its record can't be read.
          StoreError: the store refused or failed.
        """
        fresh = self._fresh()
        while not self._take_once(store, fresh):
            pass

    def check_held(self, store: Store) -> RunRecord:
        """Return the run's record.

        Raises:
          RunExistsError: another execution has taken the run over.
          StoreError: the record can't be read.
        """
        record, _ = self._read(store)
        self._check_ours(record, store)
        return record

    def finish(
        self, store: Store, manifests: Sequence[Manifest], size: Size, shards: int, detail: RunDetail = NO_DETAIL
    ) -> None:
        """Commit the run: from now on these manifests are valid, and no others. It may be repeated with the same ones.

        If the run has already finished with other manifests, because a runner repeated its work, the store decides:
        these are valid if they are the ones in the store.

        Raises:
          RunExistsError: another execution has taken the run over.
          S3BoxError: the store has other manifests, of work that a runner repeated since: this work is outdated.
          StoreError: the store refused or failed.
        """
        while True:
            try:
                record, info = self._read(store)
            except AccessError:
                if self.named:
                    raise
                # nobody else has this random id, so there is nothing of another execution
                return self._finish_unread(store, manifests, size, shards, detail)
            self._check_ours(record, store)
            done = record.finished(size, shards, manifests, wall_seconds(), detail)
            if record.state == "finished":
                if record.manifests == done.manifests and (record.size, record.shards) == (size, shards):
                    return None
                self._check_current(store, manifests)
            if self._replace(store, done, info):
                break
        if record.superseded and record.state == "running":
            # only what is older than this execution: it may have finished again by now, with other manifests
            kept = {manifest.key for manifest in manifests}
            left = [other for other in self._manifests(store) if other.modified < info.modified]
            _remove(store, [other for other in left if other.key not in kept])
        return None

    def fail(self, store: Store, error: str) -> bool:
        """Record that the run failed, unless another execution has the run id; return whether it has finished instead.

        The manifests of a bounded run are removed, so that nobody loads one of them by its name.

        Raises:
          StoreError: the store refused or failed.
        """
        left: list[ObjectInfo] = []
        failure: StoreError | None = None
        while True:
            try:
                record, info = self._read(store)
            except ObjectNotFoundError:
                return False  # it failed before it began
            if record.attempt != self.attempt or record.state != "running":
                return record.attempt == self.attempt and record.state == "finished"
            try:
                # before the run id can be taken over: the next execution has its own manifests
                left = self._manifests(store) if self.bounded else []
            except StoreError as exc:
                failure = exc
            if self._replace(store, record.failed(error, wall_seconds()), info):
                break
        _remove(store, left)
        if failure is not None:
            raise failure
        return False

    def end(self, store: Store, detail: RunDetail = NO_DETAIL, size: Size = NOTHING, shards: int = 0) -> None:
        """Record that an unbounded run has ended, unless it has failed; raises what `fail` raises."""
        while True:
            try:
                record, info = self._read(store)
            except AccessError:
                if self.named:
                    raise
                return self._finish_unread(store, (), size, shards, detail)
            if record.attempt != self.attempt or record.state != "running":
                return None
            if self._replace(store, record.finished(size, shards, (), wall_seconds(), detail), info):
                return None

    def fail_by(self, store: Store, error: BaseException) -> None:
        """Record that the run failed with this error; if that is not possible or not so, add a note to the error."""
        if isinstance(error, TransientStoreError):
            return  # the store does not respond, and another request would take as long again
        try:
            if self.fail(store, f"{type(error).__name__}: {error}"):
                error.add_note(
                    f"run {self.layout.run_id} had finished before that, and what it lists counts: another run of the "
                    "same records would list them a second time"
                )
        except S3BoxError as exc:
            error.add_note(
                f"{store.url(self.layout.run)}: the run could not be marked as failed, or its manifests not removed: "
                f"{exc}"
            )

    def _take_once(self, store: Store, fresh: RunRecord) -> bool:
        """Return whether the run id is ours now; False to try again."""
        try:
            self._put(store, fresh)
            if not self.named:
                return True
        except ObjectExistsError:
            pass
        try:
            # also after the claim if the user chose the id: a run that can't finish should not begin
            record, info = self._read(store)
        except ObjectNotFoundError:
            return False
        except AccessError as exc:
            if not self.named:
                return True  # nobody else has this random id: another worker of this run took it
            raise AccessError(
                f"can't read which execution has run_id={self.layout.run_id!r} ({exc}): allow s3:GetObject on "
                f"{store.url(self.layout.run)}, or omit run_id to get a unique one"
            ) from exc
        if record.attempt == self.attempt and record.state != "failed":
            return True
        self._check_free(record, store)
        _LOGGER.warning(
            "run_id=%r was claimed by another execution at %s, which did not finish: this one takes the run over",
            self.layout.run_id,
            record.began,
        )
        superseded = (*record.superseded, record.attempt)
        return self._replace(store, dataclasses.replace(fresh, superseded=superseded), info)

    def _finish_unread(
        self, store: Store, manifests: Sequence[Manifest], size: Size, shards: int, detail: RunDetail
    ) -> None:
        self._put(store, self._fresh().finished(size, shards, manifests, wall_seconds(), detail), replace=True)

    def _fresh(self) -> RunRecord:
        return RunRecord.begin(self.layout.run_id, self.attempt, self.origin, wall_seconds(), bounded=self.bounded)

    def _check_free(self, record: RunRecord, store: Store) -> None:
        """Raise RunExistsError unless the record is that of an unfinished bounded run, and this one is bounded."""
        if record.attempt == self.attempt and record.state != "failed":
            return
        if record.attempt == self.attempt or self.attempt in record.superseded:
            raise self._taken_over(store, record)
        where = f"below {store.root}"
        if record.interrupted:
            raise RunExistsError(
                f"run_id={self.layout.run_id!r} already names a run {where}, and {record.interrupted}: write that with "
                "another run_id, or omit it to get one"
            )
        if record.state == "finished":
            raise RunExistsError(
                f"run_id={self.layout.run_id!r} already finished a run {where} at {record.ended}, which counts even if "
                "its job failed later: to write other records use a new run_id, or omit it to get one"
            )
        if not (record.bounded and self.bounded):
            raise RunExistsError(
                f"run_id={self.layout.run_id!r} already names an unbounded run {where}, or this run is unbounded: only "
                "a bounded run can be started again under its id; use a new run_id, or omit it to get one"
            )

    def _check_ours(self, record: RunRecord, store: Store) -> None:
        if record.attempt != self.attempt or record.state == "failed":
            raise self._taken_over(store, record)

    def _taken_over(self, store: Store, record: RunRecord) -> RunExistsError:
        what = "another execution took it over"
        if record.attempt == self.attempt:
            what = f"it was marked as failed ({record.error})"
        return RunExistsError(
            f"run_id={self.layout.run_id!r} below {store.root} no longer belongs to this execution: {what}, and what "
            "it wrote is not valid. Use a new run_id, or omit it"
        )

    def _check_current(self, store: Store, manifests: Sequence[Manifest]) -> None:
        threads = Threads(_READERS, "beam_s3box-verify")
        reading = [threads.submit(_replaced, store, manifest) for manifest in manifests]
        wrong = [key for key in (task.result() for task in reading) if key]
        if wrong:
            raise S3BoxError(
                f"{store.url(wrong[0])} is not the manifest that this work wrote: the runner repeated the work and "
                "finished the run since; this work is outdated and not valid"
            )

    def _manifests(self, store: Store) -> list[ObjectInfo]:
        return list(store.list(self.layout.manifests(None, "", None)))

    def _replace(self, store: Store, record: RunRecord, info: ObjectInfo) -> bool:
        """Return whether the record was written; False if it changed since it was read."""
        try:
            self._put(store, record, replace=True, if_match=info.etag)
        except ObjectChangedError:
            return False
        return True

    def _put(self, store: Store, record: RunRecord, **condition: Any) -> None:
        body = record.render()
        store.put(
            self.layout.run, body, sha256=hashlib.sha256(body).hexdigest(), content_type=_CONTENT_TYPE, **condition
        )

    def _read(self, store: Store) -> tuple[RunRecord, ObjectInfo]:
        body, info = store.read(self.layout.run)
        return RunRecord.parse(store.url(self.layout.run), body, _USE_ANOTHER), info


def _remove(store: Store, manifests: Sequence[ObjectInfo]) -> None:
    for info in manifests:
        with contextlib.suppress(ObjectChangedError):  # another execution has replaced it
            store.delete(info.key, if_match=info.etag)


def _replaced(store: Store, manifest: Manifest) -> str | None:
    """Return the manifest's key if the store has another text than its digest says, or none."""
    try:
        body = store.get(manifest.key)
    except ObjectNotFoundError:
        return manifest.key
    return None if hashlib.sha256(body).hexdigest() == manifest.sha256 else manifest.key
