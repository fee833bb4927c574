"""What a run lists: the texts of its manifests and its lists of shards, held against each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from beam_s3box.engine.manifests import Manifest
from beam_s3box.engine.run_reader import Run
from beam_s3box.engine.shard_lists import ListedShard, read_shards
from beam_s3box.errors import ObjectNotFoundError, S3BoxError
from beam_s3box.runs.verify.manifest_texts import Entry, read_manifests
from beam_s3box.runs.verify.problems import Problems
from beam_s3box.runs.verify.shard_check import Stated
from beam_s3box.stores import Store
from beam_s3box.system.threads import Threads

_NUMBER = re.compile(r"(?P<folder>.*/)(?:(?P<firing>\d{8,})-)?(?P<number>\d{5,})\.manifest", re.DOTALL)


class Listing(NamedTuple):
    """What manifests list.

    Attributes:
      manifests: the digest of each manifest, by its key; "" of one that does not exist.
      entries: of all of them, by the key of the shard.
    """

    manifests: dict[str, str]
    entries: dict[str, Entry]


def listing_of(run: Run, threads: Threads, problems: Problems) -> Listing:
    """Return what the manifests of a run list, and check that these are the manifests that it wrote.

    Raises:
      StoreError: something can't be read.
    """
    keys = _in_store(run)
    if not run.record.bounded:
        return _read(run.store, keys, threads, problems)
    expected = run.record.digests
    for key in keys:
        if key not in expected:
            problems.add(run.store.url(key), "is not one of the manifests that the run finished with")
    listing = _read(run.store, expected, threads, problems)
    for key, sha256 in listing.manifests.items():
        if sha256 not in ("", expected[key]):
            problems.add(run.store.url(key), f"has the SHA-256 {sha256}, and the run finished with {expected[key]}")
    return listing


def listing_of_manifests(store: Store, keys: Iterable[str], threads: Threads, problems: Problems) -> Listing:
    """Return what some manifests list.

    Raises:
      StoreError: something can't be read.
    """
    return _read(store, keys, threads, problems)


def stated_shards(run: Run, listing: Listing, problems: Problems) -> Iterator[Stated]:
    """Yield what the run's lists of shards and its manifests say of each shard, and check that they say the same.

    Entries that lists have are taken out of the listing.

    Raises:
      StoreError: a list can't be read.
    """
    has_lists = False
    for row in _rows(run, listing, problems):
        has_lists = True
        entry = listing.entries.pop(row.shard.key, None)
        if row.manifest and entry is None:
            if listing.manifests.get(row.manifest) or row.manifest not in listing.manifests:
                problems.add(run.store.url(row.shard.key), f"is in no manifest; the run lists it in {row.manifest}")
        elif entry is not None and entry.manifest != row.manifest:
            where = row.manifest or "none"
            problems.add(run.store.url(row.shard.key), f"is in {entry.manifest}, and by the run's lists in {where}")
        yield Stated(row.shard.key, row, entry)
    for key, entry in listing.entries.items():
        if has_lists:
            problems.add(run.store.url(key), f"is in {entry.manifest}, and not in the run's lists of shards")
        yield Stated(key, None, entry)


def stated_entries(listing: Listing, is_ours: Callable[[str], bool]) -> Iterator[Stated]:
    """Yield what manifests say of each shard, where there is no list of shards."""
    for key, entry in listing.entries.items():
        yield Stated(key, None, entry, is_ours(key))


def _read(store: Store, keys: Iterable[str], threads: Threads, problems: Problems) -> Listing:
    entries, digests = read_manifests(store, keys, threads, problems)
    return Listing(digests, entries)


def _in_store(run: Run) -> list[str]:
    keys = [info.key for info in run.store.list(f"manifests/{run.run_id}/")]
    return [key for key in keys if _NUMBER.fullmatch(key)]


def _rows(run: Run, listing: Listing, problems: Problems) -> Iterator[ListedShard]:
    """Yield the rows of the run's lists of shards."""
    if not run.record.bounded:
        yield from _rows_of_firings(run, listing, problems)
        return
    rows = 0
    for one in run.record.shard_lists:
        try:
            for row in read_shards(run.store, one.key, one.sha256):
                rows += 1
                yield row
        except ObjectNotFoundError:
            problems.add(run.store.url(one.key), "does not exist, and the run's record names it")
        except S3BoxError as exc:
            problems.add(run.store.url(one.key), f"can't be read: {exc}")


def _rows_of_firings(run: Run, listing: Listing, problems: Problems) -> Iterator[ListedShard]:
    """Yield the rows of an unbounded run whose manifest is the one in the store, and check its manifests.

    A manifest that was replaced or removed after a rollback has rows as well; one of that name was written later.
    """
    listed: set[str] = set()
    outdated: dict[str, str] = {}
    for info in run.store.list(run.layout.firing_folder):
        fresh: set[str] = set()
        for row in read_shards(run.store, info.key):
            stored = listing.manifests.get(row.manifest)
            if stored != row.manifest_sha256:
                outdated[row.manifest] = info.key
            elif row.manifest not in listed:
                fresh.add(row.manifest)
                yield row
        listed |= fresh
    for key, where in outdated.items():
        if key not in listing.manifests:
            problems.add(run.store.url(key), f"does not exist; {where} says that the run wrote it")
        elif key not in listed:
            problems.add(run.store.url(key), f"has a text that the run did not write; {where} has another SHA-256")
    _check_numbers(run.store, listing.manifests, problems)


def _check_numbers(store: Store, keys: Iterable[str], problems: Problems) -> None:
    """Find firings of a stream, and parts of a firing, that are missing before others."""
    firings: dict[str, dict[int, set[int]]] = {}
    for match in filter(None, map(_NUMBER.fullmatch, keys)):
        parts = firings.setdefault(match["folder"], {}).setdefault(int(match["firing"] or 0), set())
        parts.add(int(match["number"]))
    for folder, numbers in firings.items():
        gap = next((number for number in range(max(numbers)) if number not in numbers), None)
        if gap is not None:
            problems.add(store.url(folder), f"has no manifest of firing {gap:,}, and one of {max(numbers):,}")
        for firing, parts in numbers.items():
            part = next((number for number in range(max(parts)) if number not in parts), None)
            if part is not None:
                problems.add(store.url(folder), f"has no part {part:,} of firing {firing:,}, and part {max(parts):,}")


def shards_of(manifests: Iterable[Manifest]) -> dict[str, Manifest]:
    """Return manifests by their keys."""
    return {manifest.key: manifest for manifest in manifests}
