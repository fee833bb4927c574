"""What a garbage collection frees, by run and kind."""

from __future__ import annotations

import collections
import dataclasses
from typing import Final, NamedTuple

from beam_s3box.stores.deletions import NotDeleted

SHARDS: Final = "unlisted shards"
REPLACED: Final = "replaced shards"
MANIFESTS: Final = "manifests that do not count"
LISTS: Final = "lists that do not count"
UPLOADS: Final = "unfinished uploads"
MARKS: Final = "marks"
KINDS: Final = (SHARDS, REPLACED, MANIFESTS, LISTS, UPLOADS, MARKS)
"""What is freed: data that nobody lists; data of manifests that a compaction has replaced; manifests and lists of
executions that did not finish; multipart uploads, and files of writes that did not end; stop marks and signs of life of
runs that are over."""

MAX_ERRORS: Final = 20


class Amount(NamedTuple):
    """Objects, and their bytes."""

    objects: int = 0
    bytes: int = 0

    def plus(self, other: Amount) -> Amount:
        """Return the sum."""
        return Amount(self.objects + other.objects, self.bytes + other.bytes)


@dataclasses.dataclass
class Freed:
    """The result of a garbage collection.

    Attributes:
      destination: the URL of the store's root.
      is_dry: whether nothing was changed.
      runs: what was freed, or would be, by run id and kind; "" for what belongs to no run.
      marked: runs that were marked as failed, or would be, with the reason.
      left: runs whose garbage was left, with the reason.
      unknown: objects where shards are that belong to no run below the destination: they were left.
      failed: the first objects that could not be deleted.
      failed_count: how many these are.
    """

    destination: str
    is_dry: bool = False
    runs: dict[str, dict[str, Amount]] = dataclasses.field(default_factory=dict)
    marked: dict[str, str] = dataclasses.field(default_factory=dict)
    left: dict[str, str] = dataclasses.field(default_factory=dict)
    unknown: Amount = dataclasses.field(default_factory=Amount)
    failed: list[NotDeleted] = dataclasses.field(default_factory=list)
    failed_count: int = 0

    def add(self, run_id: str, kind: str, size: int, objects: int = 1) -> None:
        """Note what was freed."""
        kinds = self.runs.setdefault(run_id, {})
        kinds[kind] = kinds.get(kind, Amount()).plus(Amount(objects, size))

    def fail(self, failed: list[NotDeleted]) -> None:
        """Note what could not be deleted."""
        self.failed_count += len(failed)
        self.failed += failed[: max(0, MAX_ERRORS - len(self.failed))]

    @property
    def kinds(self) -> dict[str, Amount]:
        """What was freed, by kind."""
        sums: dict[str, Amount] = collections.defaultdict(Amount)
        for kinds in self.runs.values():
            for kind, amount in kinds.items():
                sums[kind] = sums[kind].plus(amount)
        return {kind: sums[kind] for kind in KINDS if kind in sums}

    @property
    def total(self) -> Amount:
        """All that was freed."""
        total = Amount()
        for amount in self.kinds.values():
            total = total.plus(amount)
        return total
