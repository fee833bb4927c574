"""What a run lists: the texts of its manifests and its lists of shards, held against each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from beam_s3box.engine.run_reader import Run
from beam_s3box.engine.shard_lists import ListedShard, read_shards
from beam_s3box.errors import AccessError, ObjectNotFoundError, S3BoxError, TransientStoreError
from beam_s3box.runs.verify.manifest_texts import Entry, read_manifests
from beam_s3box.runs.verify.problems import Problems
from beam_s3box.runs.verify.shard_check import Stated
from beam_s3box.stores import Store
from beam_s3box.system.threads import Threads

_NUMBER = re.compile(r"(?P<folder>.*/)(?:(?P<firing>\d{8,})-)?(?P<number>\d{5,})\.manifest", re.DOTALL)

_NOT_ITS_OWN: Final = "is not one of the manifests that the run finished with"


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
            problems.add(run.store.url(key), _NOT_ITS_OWN)
    listing = _read(run.store, expected, threads, problems)
    check_digests(run, listing, problems)
    return listing


def check_digests(run: Run, listing: Listing, problems: Problems) -> None:
    """Check that manifests of a bounded run are those that it finished with."""
    expected = run.record.digests
    for key, sha256 in listing.manifests.items():
        if key not in expected:
            problems.add(run.store.url(key), _NOT_ITS_OWN)
        elif sha256 not in ("", expected[key]):
            problems.add(run.store.url(key), f"has the SHA-256 {sha256}, and the run finished with {expected[key]}")


def stated_shards(
    run: Run, listing: Listing, problems: Problems, only: frozenset[str] | None = None
) -> Iterator[Stated]:
    """Yield what the run's lists of shards and its manifests say of each shard, and check that they say the same.

    Args:
      run: the run.
      listing: what its manifests list; entries that lists of shards have are taken out of it.
      problems: takes what is wrong.
      only: the keys of the manifests to look at; None for all of the run.

    Raises:
      StoreError: a list can't be read.
    """
    has_lists, with_rows = False, set()
    for row in _rows(run, listing, problems, only):
        has_lists = True
        with_rows.add(row.manifest)
        if only is not None and row.manifest not in only:
            continue
        entry = listing.entries.pop(row.shard.key, None)
        if row.manifest and entry is None:
            if listing.manifests.get(row.manifest) or row.manifest not in listing.manifests:
                problems.add(run.store.url(row.shard.key), f"is in no manifest; the run lists it in {row.manifest}")
        elif entry is not None and entry.manifest != row.manifest:
            where = row.manifest or "none"
            problems.add(run.store.url(row.shard.key), f"is in {entry.manifest}, and by the run's lists in {where}")
        yield Stated(row.shard.key, row, entry)
    for key, entry in listing.entries.items():
        # a worker of a stream may have been killed between a manifest and its rows
        if has_lists and (run.record.bounded or entry.manifest in with_rows):
            problems.add(run.store.url(key), f"is in {entry.manifest}, and not in the run's lists of shards")
        yield Stated(key, None, entry, is_ours=not run.record.counts_uploads)


def stated_entries(listing: Listing) -> Iterator[Stated]:
    """Yield what manifests say of each shard, where there is no record of their run: others may have written them."""
    for key, entry in listing.entries.items():
        yield Stated(key, None, entry, is_ours=False)


def _read(store: Store, keys: Iterable[str], threads: Threads, problems: Problems) -> Listing:
    entries, digests = read_manifests(store, keys, threads, problems)
    return Listing(digests, entries)


def _in_store(run: Run) -> list[str]:
    keys = [info.key for info in run.store.list(f"manifests/{run.run_id}/")]
    return [key for key in keys if _NUMBER.fullmatch(key)]


def _rows(run: Run, listing: Listing, problems: Problems, only: frozenset[str] | None) -> Iterator[ListedShard]:
    """Yield the rows of the run's lists of shards, each shard once, of manifests that count."""
    if not run.record.bounded:
        yield from _rows_of_firings(run, listing, problems, only)
        return
    lists, digests = run.record.shard_lists, run.record.digests
    # a runner that delivers at least once may have delivered rows twice
    seen: set[str] | None = set() if sum(one.shards for one in lists) != run.record.shards else None
    for one in lists:
        for row in _rows_of_list(run.store, one.key, one.sha256, problems):
            if row.manifest and digests.get(row.manifest) != row.manifest_sha256:
                continue
            if seen is not None:
                if row.shard.key in seen:
                    continue
                seen.add(row.shard.key)
            yield row


def _rows_of_firings(
    run: Run, listing: Listing, problems: Problems, only: frozenset[str] | None
) -> Iterator[ListedShard]:
    """Yield the rows of an unbounded run whose manifest is the one in the store, and check its manifests.

    A manifest that was replaced or removed after a rollback has rows as well; one of that name was written later.
    """
    listed: set[str] = set()
    outdated: dict[str, str] = {}
    written: dict[str, list[tuple[int, str]]] = {}
    for info in run.store.list(run.layout.firing_folder):
        fresh: set[str] = set()
        for row in _rows_of_list(run.store, info.key, None, problems):
            folder, firing = _place_of(row.manifest)
            written.setdefault(folder, []).append((firing, info.key))
            if listing.manifests.get(row.manifest) != row.manifest_sha256:
                outdated[row.manifest] = info.key
            elif row.manifest not in listed:
                fresh.add(row.manifest)
                yield row
        listed |= fresh
    for key, where in outdated.items():
        if only is not None and key not in only:
            continue
        folder, firing = _place_of(key)
        # a firing that was done again, with other shards, has withdrawn all later ones
        is_withdrawn = any(other < firing and later > where for other, later in written[folder])
        if key not in listing.manifests and not is_withdrawn:
            problems.add(run.store.url(key), f"does not exist; {where} says that the run wrote it")
        elif key in listing.manifests and key not in listed:
            problems.add(run.store.url(key), f"has a text that the run did not write; {where} has another SHA-256")
    if only is None:
        _check_numbers(run.store, listing.manifests, problems)


def _place_of(key: str) -> tuple[str, int]:
    """Return the folder of a manifest, and the number of its firing."""
    match = _NUMBER.fullmatch(key)
    return (match["folder"], int(match["firing"] or 0)) if match else (key, 0)


def _rows_of_list(store: Store, key: str, sha256: str | None, problems: Problems) -> Iterator[ListedShard]:
    try:
        yield from read_shards(store, key, sha256)
    except ObjectNotFoundError:
        problems.add(store.url(key), "does not exist, and the run's record names it")
    except (AccessError, TransientStoreError):
        raise
    except S3BoxError as exc:
        problems.add(store.url(key), f"is damaged: {exc}")


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
