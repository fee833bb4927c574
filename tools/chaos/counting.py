"""Count what a round left, with `tests/checker`, which has none of the package's code."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.checker.places import Place
from tests.checker.verification import Rules, Verification


class Counted(NamedTuple):
    """What a round left.

    Attributes:
      records_in: records that were given, or of a streamer acknowledged.
      listed: records in listed shards, or in the table.
      dead_letters: lines that are no records.
      lost: records that were given and are not listed.
      duplicated: records that are listed once too often.
      problems: what else is wrong, a sentence each.
    """

    records_in: int
    listed: int
    dead_letters: int
    lost: int
    duplicated: int
    problems: list[str]


def count_run(place: Place, source: Path, rules: Rules, run_id: str = "") -> Counted:
    """Count one run, whose shards may lie next to those of its earlier attempts."""
    found = Verification(place, dataclasses.replace(rules, unlisted=True), [source], run_id)
    records_in = found.records + found.lost - found.duplicated
    return Counted(
        records_in, found.records, len(found.dead_letters), found.lost, found.duplicated, list(found.problems)
    )


def count_whole_runs(runs: Mapping[str, collections.Counter[Any]], numbers: Collection[int]) -> Counted:
    """Count runs that each were given all of the numbers: those that list any have all, once each, and one does."""
    given = collections.Counter[Any](numbers)
    listed = [ids for ids in runs.values() if ids] or [collections.Counter[Any]()]
    return Counted(
        len(listed) * len(numbers),
        sum(ids.total() for ids in listed),
        0,
        sum((given - ids).total() for ids in listed),
        sum((ids - given).total() for ids in listed),
        [],
    )


def count_acknowledged(
    runs: Mapping[str, collections.Counter[Any]], acknowledged: Collection[int], uncertain: int
) -> Counted:
    """Count records that were acknowledged one by one; of so many more nobody knows whether they were taken."""
    known, listed = set(acknowledged), sum(runs.values(), collections.Counter[Any]())
    more = len(set(listed) - known)
    return Counted(
        len(known),
        listed.total(),
        0,
        len(known - set(listed)),
        sum(number - 1 for number in listed.values()),
        [f"{more} records are listed that were not acknowledged"] if more > uncertain else [],
    )
