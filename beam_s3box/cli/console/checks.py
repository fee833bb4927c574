"""What was checked of a run, and what is wrong, for people and as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from beam_s3box import metrics
from beam_s3box.cli.console.output import say, say_text
from beam_s3box.runs.verify.run_check import Verified
from beam_s3box.sizes import format_seconds, format_size

MAX_SHOWN: Final = 20
"""Problems that are printed; JSON has more."""

_MIN_SECONDS: Final = 0.001


class CheckProgress:
    """How far a check is.

    Args:
      totals: the counts so far.
      shards: number of all shards; 0 if unknown.
      clock: seconds.
    """

    def __init__(
        self, totals: Callable[[], Mapping[str, int]], shards: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._totals = totals
        self._shards = shards
        self._clock = clock
        self._began = clock()

    def line(self) -> str:
        """Return how far it is."""
        totals = self._totals()
        seconds = max(self._clock() - self._began, _MIN_SECONDS)
        shards, raw_bytes = totals.get(metrics.SHARDS, 0), totals.get(metrics.RAW_BYTES, 0)
        of = f" of {self._shards:,}" if self._shards else ""
        parts = [
            f"{shards:,}{of} shards checked",
            f"{totals.get(metrics.RECORDS_LISTED, 0):,} records",
            f"{format_size(raw_bytes)}",
            f"{format_size(int(raw_bytes / seconds))}/s",
            format_seconds(int(seconds)),
        ]
        if 0 < shards < self._shards:
            parts.append(f"{format_seconds(int(seconds * (self._shards - shards) / shards))} left")
        return " · ".join(parts)


def print_verified(verified: Verified, seconds: float, *, is_json: bool, is_quiet: bool) -> None:
    """Print what was checked and what is wrong."""
    if is_json:
        # only ASCII, which every output takes
        say_text(json.dumps(_as_json(verified, seconds), indent=2))
    elif not is_quiet:
        of = f"run {verified.run_id} in" if verified.run_id else "manifests in"
        say(f"{of} {verified.destination}")
        say(
            f"{_number(verified.manifests, 'manifest')}, {_number(verified.shards, 'shard')}, "
            f"{_number(verified.records, 'record')}, {_number(verified.dead_letters, 'dead letter')}; "
            f"{format_size(verified.raw_bytes)} in {format_size(verified.object_bytes)}"
        )
        if verified.source_records is not None:
            say(f"{_number(verified.source_records, 'record')} of the source compared")
        if verified.table_rows is not None:
            say(f"{_number(verified.table_rows, 'row')} in Redshift, and the ledger of each table compared")
        rate = format_size(int(verified.raw_bytes / max(seconds, _MIN_SECONDS)))
        is_alone = verified.source_records is None and verified.table_rows is None
        say(format_seconds(seconds) + (f", {rate}/s" if is_alone else ""))
        for what in verified.unchecked:
            say(f"not checked: {what}")
    problems = verified.problems
    if not problems:
        if not is_json and not is_quiet:
            say("nothing is wrong")
        return
    for problem in problems.first[:MAX_SHOWN]:
        say(f"wrong: {problem}", error=is_json)
    if problems.count > MAX_SHOWN:
        say(f"… and {problems.count - MAX_SHOWN:,} more", error=is_json)


def _as_json(verified: Verified, seconds: float) -> dict[str, Any]:
    values = {name: value for name, value in vars(verified).items() if name != "problems"}
    problems = [problem._asdict() for problem in verified.problems.first]
    return {
        **values,
        "seconds": round(seconds, 3),
        "problem_count": verified.problems.count,
        "problems": problems,
    }


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
