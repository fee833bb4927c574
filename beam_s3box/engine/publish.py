"""Writes manifests so that repeated work replaces what it wrote before, and outdated work replaces nothing.

Manifests are written create-only. If one exists with another list, it was written before the runner rolled back: it is
replaced, and the manifests that its firing invalidates are removed, each conditionally on the ETag that was read. One
of an unbounded run with the same list is written again, so that its time shows that it was found. A
worker whose work began before the other manifest was written may be outdated: it replaces nothing and fails, and the
runner retries its work. Who replaces a firing says so in the store before it looks what to remove, so that an
outdated worker that writes after that look waits until the firing is replaced, and fails then. ARCHITECTURE.md
describes the protocol.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
from collections.abc import Sequence
from typing import Final

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.lineage import Lineage, text_of
from beam_s3box.engine.manifests import Manifest, ManifestPlan
from beam_s3box.engine.outdated_work import check_not_outdated
from beam_s3box.engine.rollbacks import mark_rollback
from beam_s3box.engine.shard_lists import write_firings
from beam_s3box.engine.shard_rows import rows_of
from beam_s3box.engine.uploads import put_once
from beam_s3box.engine.written_manifests import WrittenManifest, WrittenManifests
from beam_s3box.errors import (
    ObjectChangedError,
    ObjectExistsError,
    OutdatedWorkError,
    RunExistsError,
)
from beam_s3box.shards.keys import Layout
from beam_s3box.stores import ObjectInfo, Store
from beam_s3box.system.threads import Executor

_CONTENT_TYPE: Final = "application/json"
_SLOW_SECONDS: Final = 5.0
"""Work that took longer may have been given to another worker meanwhile, so it checks what that one has written."""


@dataclasses.dataclass(frozen=True)
class Publisher:
    """Writes the manifests of one bundle. Safe for use by many threads; each firing is written by one thread.

    Attributes:
      store: the store.
      claim: the claim of this execution.
      began: the time when the bundle began, by the store's clock.
    """

    store: Store
    claim: RunClaim
    began: float

    @classmethod
    def begin(cls, store: Store, claim: RunClaim) -> Publisher:
        """Return the publisher of a bundle that starts now."""
        return cls(store, claim, store.now())

    def key(self, plan: ManifestPlan) -> str:
        """Return the key of a manifest."""
        return self.claim.layout.manifest(plan.stream, plan.window, plan.number, plan.firing)

    def describe(self, plan: ManifestPlan) -> Manifest:
        """Return the description of a manifest that will be written."""
        return described(self.store, self.key(plan), hashlib.sha256(text_of(plan)).hexdigest(), plan)

    def write(self, plan: ManifestPlan, first: ManifestPlan | None = None) -> Manifest:
        """Write one manifest and return its description.

        Args:
          plan: its plan.
          first: the plan of the first manifest of its firing, if it is another one.

        Raises:
          OutdatedWorkError: another worker wrote it after this work had begun.
          RunExistsError: another execution has taken the run over.
          AccessError: the permission to list or delete is missing, which is needed after a runner rolled back.
          StoreError: the store refused or failed, after its retries.
        """
        key, body = self.key(plan), text_of(plan, self.store.url)
        sha256 = hashlib.sha256(body).hexdigest()
        while not self._is_written(plan, first or plan, key, body, sha256):
            pass
        return described(self.store, key, sha256, plan)

    def write_all(self, plans: Sequence[ManifestPlan], threads: Executor) -> list[Manifest]:
        """Write the manifests of a bounded run, or some of them, and return their descriptions, in order.

        If it fails, those that were written stay: they do not count, and another copy of the same bundle may have met
        them and rely on them, or write them again before a late removal arrives.

        Raises:
          As `write` does.
        """
        manifests: list[Manifest] = []
        failures: list[Exception] = []
        for writing in [threads.submit(self.write, plan) for plan in plans]:
            try:
                manifests.append(writing.result())
            except Exception as exc:  # noqa: BLE001 - raised below, after all have ended
                failures.append(exc)
        if failures:
            raise failures[0]
        return manifests

    def write_firing(self, plans: Sequence[ManifestPlan], before: Lineage) -> list[Manifest]:
        """Write the manifests of one firing of an unbounded run, in order, and return their descriptions.

        Args:
          plans: the plans of the firing.
          before: the earlier firings of the same stream or run, which must have been written.

        Raises:
          As `write` does.
        """
        manifests = [self.write(plan, plans[0]) for plan in plans]
        if self._is_slow():
            check_not_outdated(self._written, before, plans, manifests)
        return manifests

    def write_rows(self, plans: Sequence[ManifestPlan], now: float) -> None:
        """Write the rows of all shards that a bundle of an unbounded run lists; they count if its manifests exist.

        Args:
          plans: the plans of all of its firings.
          now: the time of the worker, in seconds since the epoch.

        Raises:
          StoreError: the store refused or failed, after its retries.
        """
        listed = ((self.describe(plan), plan.files) for plan in plans)
        segments = [rows.segment for rows in rows_of(listed, now)]
        moment = f"{datetime.datetime.fromtimestamp(self.began, datetime.UTC):%Y%m%dT%H%M%SZ}"
        write_firings(self.store, self.claim.layout, moment, segments)

    @property
    def _written(self) -> WrittenManifests:
        return WrittenManifests(self.store, self.claim.layout, self.began)

    def _is_slow(self) -> bool:
        return self.store.now() - self.began > _SLOW_SECONDS

    def _is_written(self, plan: ManifestPlan, first: ManifestPlan, key: str, body: bytes, sha256: str) -> bool:
        """Return whether the manifest is in the store; if not, it is to be tried again."""
        try:
            self.store.put(key, body, sha256=sha256, content_type=_CONTENT_TYPE)
            return True
        except ObjectExistsError:
            info = self._written.stat(key)
            if info is not None and self._written.has_text(info, sha256):
                return self._is_renewed(plan, info, body, sha256)
        self.claim.check_held(self.store)
        info = self._written.stat(key)
        if info is None:
            return False  # removed since
        self._written.check_older(info)
        if plan.firing is not None:
            mark_rollback(self.store, self.claim.layout, first, self.began)
        # before the replacement, so that a retry after a crash in between finds the conflict again
        self._withdraw(plan)
        return self._is_replaced(info, body, sha256)

    def _is_renewed(self, plan: ManifestPlan, info: ObjectInfo, body: bytes, sha256: str) -> bool:
        """Write an equal manifest of an earlier life again, so that its time tells outdated workers that it counts."""
        if plan.firing is None or not self._written.is_older(info):
            return True
        return self._is_replaced(info, body, sha256)

    def _is_replaced(self, info: ObjectInfo, body: bytes, sha256: str) -> bool:
        try:
            self.store.put(info.key, body, sha256=sha256, content_type=_CONTENT_TYPE, replace=True, if_match=info.etag)
        except ObjectChangedError:
            return False  # replaced by another worker: the times show which one is outdated
        return True

    def _withdraw(self, plan: ManifestPlan) -> None:
        """Remove the manifests that a repeated firing invalidates: later firings, and parts that it no longer has."""
        # until nothing is left: an outdated worker that wakes meanwhile may take this for the removal by a loader
        while void := [written for written in self._written.in_folder_of(plan) if _is_void(written, plan)]:
            for written in void:
                self._written.check_older(written.info)
                self._delete(written.info)

    def _delete(self, info: ObjectInfo) -> None:
        try:
            self.store.delete(info.key, if_match=info.etag)
        except ObjectChangedError as exc:
            raise OutdatedWorkError(
                f"{self.store.url(info.key)} was rewritten by other work of this run: this work may be outdated"
            ) from exc


def write_manifest(store: Store, layout: Layout, plan: ManifestPlan) -> Manifest:
    """Write one manifest, create-only, and return its description.

    Raises:
      RunExistsError: an earlier run of the same id wrote another list.
      StoreError: the store refused or failed, after its retries.
    """
    key, body = layout.manifest(plan.stream, plan.window, plan.number, plan.firing), text_of(plan)
    sha256 = hashlib.sha256(body).hexdigest()
    try:
        put_once(store, key, body, sha256, _CONTENT_TYPE)
    except ObjectExistsError as exc:
        raise RunExistsError(
            f"{store.url(key)} exists and lists other shards: run_id={layout.run_id!r} already wrote manifests; use a "
            "new run_id"
        ) from exc
    return described(store, key, sha256, plan)


def _is_void(written: WrittenManifest, plan: ManifestPlan) -> bool:
    if plan.firing is None or written.firing is None:
        return plan.firing is None and written.firing is None and written.number >= plan.siblings
    return written.firing > plan.firing or (written.firing == plan.firing and written.number >= plan.siblings)


def described(store: Store, key: str, sha256: str, plan: ManifestPlan) -> Manifest:
    """Return the description of a manifest that is in the store."""
    return Manifest(
        domain=plan.stream.domain if plan.stream else None,
        namespace=plan.stream.namespace if plan.stream else None,
        window=plan.window,
        pane=plan.pane,
        url=store.url(key),
        key=key,
        shards=len(plan.files),
        records=sum(file.records for file in plan.files),
        raw_bytes=sum(file.raw_bytes for file in plan.files),
        object_bytes=sum(file.object_bytes for file in plan.files),
        sha256=sha256,
    )
