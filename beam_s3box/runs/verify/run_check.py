"""Checks a run: its manifests, its shards, its record and its dead letters."""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from beam_s3box.engine.run_reader import Run
from beam_s3box.metrics import OBJECT_BYTES, RAW_BYTES, RECORDS_LISTED, SHARDS, MemoryMetrics, Metrics
from beam_s3box.runs.replaced import WHOLE, compacted_manifests
from beam_s3box.runs.verify.dead_letters import check_dead_letters, read_dead_letters
from beam_s3box.runs.verify.in_order import in_order
from beam_s3box.runs.verify.listing import Listing, check_digests, listing_of, stated_entries, stated_shards
from beam_s3box.runs.verify.manifest_texts import read_manifests
from beam_s3box.runs.verify.problems import Problems
from beam_s3box.runs.verify.record_check import RecordCheck
from beam_s3box.runs.verify.shard_check import GONE, Found, Stated, TakeShard, check_shard, take_nothing
from beam_s3box.sizes import MiB
from beam_s3box.stores import Store
from beam_s3box.system.threads import Threads

if TYPE_CHECKING:
    from beam_s3box.runs.verify.source import SourceCheck

DEFAULT_THREADS: Final = 8
"""Objects that are read at the same time: enough to wait for a distant store, and to keep a few cores busy."""

_INFLATED_BYTES: Final = 4 * MiB
"""What a shard takes in memory while it is checked, besides its own bytes."""


@dataclasses.dataclass
class Verified:
    """What was checked, and what is wrong.

    Attributes:
      destination: the URL of the store's root.
      run_id: the run; None where manifests were named that have no run's record.
      problems: what is wrong.
      manifests, shards, records, raw_bytes, object_bytes: what was found whole.
      dead_letters: in the files of dead letters.
      unchecked: what nobody can check of this run, and why.
      source_records: in the input, if that was compared.
      table_rows: in the tables of Redshift, if these were compared.
    """

    destination: str
    run_id: str | None
    problems: Problems = dataclasses.field(default_factory=Problems)
    manifests: int = 0
    shards: int = 0
    records: int = 0
    raw_bytes: int = 0
    object_bytes: int = 0
    dead_letters: int = 0
    unchecked: list[str] = dataclasses.field(default_factory=list)
    source_records: int | None = None
    table_rows: int | None = None

    def add(self, found: Found, url: str) -> None:
        """Add a shard."""
        for fault in found.faults:
            self.problems.add(url, fault)
        if found.contents is not None:
            self.shards += 1
            self.records += found.contents.records
            self.raw_bytes += found.contents.raw_bytes
            self.object_bytes += found.object_bytes


class _ReplacedShards:
    """Shards of a run that don't exist any more because a compaction has replaced them, and `gc` has removed them.

    Args:
      run: the run.
      listing: what its manifests list.

    Attributes:
      shards: how many there are, by the compaction.
    """

    def __init__(self, run: Run, listing: Listing) -> None:
        self.shards: collections.Counter[str] = collections.Counter()
        self._run = run
        self._listing = listing

    @functools.cached_property
    def _done(self) -> dict[tuple[str, str], str]:
        return compacted_manifests(self._run.store, self._run.layout)

    def take(self, stated: Stated) -> bool:
        """Return whether a shard that does not exist was replaced, and count it."""
        key = stated.manifest
        by = self._done.get((self._run.store.url(key), self._listing.manifests.get(key, "")) if key else WHOLE)
        if by is not None:
            self.shards[by] += 1
        return by is not None

    def unchecked(self) -> Iterator[str]:
        """Yield where they are now."""
        for run_id, count in sorted(self.shards.items()):
            yield (
                f"{count:,} of its shards: they are gone, replaced by run {run_id}, as `s3box gc` removes them then: "
                "verify or load that run"
            )


class Checker:
    """Checks runs and manifests.

    Args:
      threads: objects that are read at the same time.
      counts: takes the figures as they grow.
    """

    def __init__(self, threads: int = DEFAULT_THREADS, counts: Metrics | None = None) -> None:
        self.threads = Threads(threads, "beam_s3box-verify")
        self.counts = counts or MemoryMetrics()

    def run(self, run: Run, source: SourceCheck | None = None) -> Verified:
        """Check all of a run.

        Args:
          run: the run.
          source: compares it with its input; None for no comparison.

        Raises:
          ConfigurationError: the input can't be read.
          StoreError: something can't be read.
        """
        record, store = run.record, run.store
        verified = Verified(store.root, run.run_id)
        if record.bounded and record.state != "finished":
            why = f": {record.error}" if record.error else f" since {record.began}"
            verified.problems.add(
                store.url(run.layout.run), f"says that the run is {record.state}{why}; nothing counts"
            )
            return verified
        listing = listing_of(run, self.threads, verified.problems)
        verified.manifests = sum(map(bool, listing.manifests.values()))
        record_check = RecordCheck(run)
        stated = record_check.noted(stated_shards(run, listing, verified.problems))
        gone = _ReplacedShards(run, listing)
        for found in self.shards(store, stated, source.take if source else take_nothing):
            if found.faults != (GONE,) or not gone.take(found.stated):
                verified.add(found, store.url(found.stated.key))
        record_check.check(verified.problems)
        verified.unchecked += [*record_check.unchecked(), *gone.unchecked()]
        verified.dead_letters = check_dead_letters(run, self.threads, verified.problems)
        if source is not None and not gone.shards:
            read_dead_letters(run, self.threads, source.take_letters)

            def read_again(take: TakeShard) -> None:
                collections.deque(self.shards(store, self._stated_again(run), take), 0)

            verified.source_records = source.compare(verified.problems, self.threads, read_again, self.counts)
        return verified

    def _stated_again(self, run: Run) -> Iterator[Stated]:
        """Yield what is said of each shard once more; what is wrong was said before."""
        problems = Problems()
        return stated_shards(run, listing_of(run, self.threads, problems), problems)

    def manifests(self, store: Store, keys: Iterable[str], run: Run | None = None) -> Verified:
        """Check some manifests and what they list.

        Args:
          store: where they are.
          keys: of the manifests.
          run: that wrote them; None where there is no record.

        Raises:
          StoreError: something can't be read.
        """
        verified = Verified(store.root, run.run_id if run else None)
        entries, digests = read_manifests(store, dict.fromkeys(keys), self.threads, verified.problems)
        listing = Listing(digests, entries)
        verified.manifests = sum(map(bool, digests.values()))
        if run is None:
            stated: Iterable[Stated] = stated_entries(listing)
        else:
            if run.record.bounded:
                check_digests(run, listing, verified.problems)
            stated = stated_shards(run, listing, verified.problems, only=frozenset(digests))
        for found in self.shards(store, stated):
            verified.add(found, store.url(found.stated.key))
        return verified

    def shards(self, store: Store, stated: Iterable[Stated], take: TakeShard = take_nothing) -> Iterator[Found]:
        """Yield what each shard is found to be, in order; give its records to a function."""

        def check(one: Stated) -> Found:
            found = check_shard(store, one, take)
            self.counts.count(SHARDS)
            self.counts.count(OBJECT_BYTES, found.object_bytes)
            if found.contents is not None:
                self.counts.count(RECORDS_LISTED, found.contents.records)
                self.counts.count(RAW_BYTES, found.contents.raw_bytes)
            return found

        return in_order(self.threads, check, stated, lambda one: one.object_bytes + _INFLATED_BYTES)
