"""Manifests that are in the store when a worker looks: its own, those of other workers, and those of earlier work."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from beam_s3box.engine.manifests import ManifestPlan
from beam_s3box.engine.rollbacks import Rollback
from beam_s3box.errors import ObjectNotFoundError, OutdatedWorkError
from beam_s3box.shards.keys import Layout
from beam_s3box.stores import ObjectInfo, Store

_NAME = re.compile(r"((?P<firing>\d{8,})-)?(?P<number>\d{5,})\.manifest", re.ASCII)


class WrittenManifest(NamedTuple):
    """A manifest that a listing of its folder has shown.

    Attributes:
      firing: the number of its firing; None in a bounded run.
      number: its number among the manifests of its stream and window, or of its firing.
      info: the object.
    """

    firing: int | None
    number: int
    info: ObjectInfo


@dataclasses.dataclass(frozen=True)
class WrittenManifests:
    """What is in the store of a run, seen by work that began at some time.

    Attributes:
      store: the store.
      layout: of the run.
      began: the time when the work began, by the store's clock.
    """

    store: Store
    layout: Layout
    began: float

    def stat(self, key: str) -> ObjectInfo | None:
        """Return what the store knows about an object; None if there is none.

        Raises:
          StoreError: the store refused or failed, after its retries.
        """
        try:
            return self.store.stat(key)
        except ObjectNotFoundError:
            return None

    def has_text(self, info: ObjectInfo, sha256: str) -> bool:
        """Return whether an object has the text of this digest.

        Raises:
          StoreError: the store refused or failed, after its retries.
        """
        if info.sha256 is not None:
            return info.sha256 == sha256
        # some servers do not keep metadata, and so not our checksum
        try:
            return hashlib.sha256(self.store.get(info.key)).hexdigest() == sha256
        except ObjectNotFoundError:
            return False

    def stands(self, key: str, sha256: str) -> bool:
        """Return whether there is an object with the text of this digest.

        Raises:
          StoreError: the store refused or failed, after its retries.
        """
        info = self.stat(key)
        return info is not None and self.has_text(info, sha256)

    def in_folder_of(self, plan: ManifestPlan) -> Iterator[WrittenManifest]:
        """List the manifests of the plan's folder: of its stream and window, or of all firings of its stream or run.

        Raises:
          StoreError: the store refused or failed, after its retries.
        """
        folder = self.layout.manifests(plan.stream, plan.window, plan.firing)
        for info in self.store.list(folder):
            # the folder of the global window has the folders of the other windows
            name = _NAME.fullmatch(info.key.removeprefix(folder))
            if name is not None:
                firing = name["firing"]
                yield WrittenManifest(None if firing is None else int(firing), int(name["number"]), info)

    def is_older(self, written: ObjectInfo | Rollback) -> bool:
        """Return whether something was written before the work began, so that the work can't be outdated by it."""
        return written.modified + self.store.clock_resolution < self.began

    def check_older(self, info: ObjectInfo) -> None:
        """Raise OutdatedWorkError for an object that was not written before the work began."""
        if not self.is_older(info):
            raise OutdatedWorkError(
                f"{self.store.url(info.key)} was written at {info.modified:.3f} by other work of this run, and this "
                f"work began at {self.began:.3f}: it may be outdated and replaces nothing; the runner retries it"
            )
