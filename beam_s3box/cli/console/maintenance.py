"""What was joined or freed, for people and as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from beam_s3box import metrics
from beam_s3box.cli.console.output import say, say_text, width_of_output
from beam_s3box.cli.console.table import align
from beam_s3box.runs.compact import Compacted
from beam_s3box.runs.gc.freed import Freed
from beam_s3box.sizes import counted_text, format_seconds, format_size

_MIN_SECONDS: Final = 0.001


class _Timed:
    """Counts, and the time since it was made.

    Args:
      totals: the counts so far.
      clock: seconds.
    """

    def __init__(self, totals: Callable[[], Mapping[str, int]], clock: Callable[[], float] = time.monotonic) -> None:
        self._totals = totals
        self._clock = clock
        self._began = clock()

    def _seconds(self) -> float:
        return max(self._clock() - self._began, _MIN_SECONDS)


class JoinProgress(_Timed):
    """How far a compaction is."""

    def line(self) -> str:
        """Return how far it is."""
        totals = self._totals()
        seconds = self._seconds()
        read = totals.get(metrics.INPUT_BYTES, 0)
        return " · ".join(
            [
                f"{format_size(read)} read",
                f"{totals.get(metrics.SHARDS, 0):,} shards written",
                f"{format_size(int(read / seconds))}/s",
                format_seconds(int(seconds)),
            ]
        )


class CollectProgress(_Timed):
    """How far a garbage collection is."""

    def line(self) -> str:
        """Return how far it is."""
        totals = self._totals()
        seconds = self._seconds()
        seen = totals.get(metrics.FILES_FOUND, 0)
        return " · ".join(
            [
                f"{seen:,} objects looked at",
                f"{totals.get(metrics.SHARDS, 0):,} freed",
                format_size(totals.get(metrics.OBJECT_BYTES, 0)),
                f"{seen / seconds:,.0f} objects/s",
                format_seconds(int(seconds)),
            ]
        )


def print_freed(freed: Freed, *, is_json: bool, is_quiet: bool) -> None:
    """Print what a garbage collection removed, or would remove."""
    if is_json:
        say_text(json.dumps(_freed_as_json(freed), indent=2))
    elif not is_quiet:
        _print_freed(freed)
    for one in freed.failed:
        say(f"not deleted: {one.key}: {one.reason}", error=True)
    if freed.failed_count > len(freed.failed):
        say(f"… and {freed.failed_count - len(freed.failed):,} more", error=True)


def _print_freed(freed: Freed) -> None:
    would = "would be " if freed.is_dry else ""
    for run_id, reason in freed.marked.items():
        say(f"run {run_id} {would or 'was '}marked as failed: {reason}")
    for run_id, reason in freed.left.items():
        say(f"run {run_id} was left: {reason}")
    rows = [("run", "what", "objects", "size")]
    rows += [
        (run_id or "none", kind, f"{amount.objects:,}", format_size(amount.bytes))
        for run_id, kinds in sorted(freed.runs.items())
        for kind, amount in kinds.items()
    ]
    total = freed.total
    rows.append(("total", "", f"{total.objects:,}", format_size(total.bytes)))
    if total.objects:
        say(*align(rows, width_of_output()).split("\n"))
    if freed.unknown.objects:
        say(
            f"{counted_text(freed.unknown.objects, 'object')} of {format_size(freed.unknown.bytes)} where shards are "
            "belong to no run of this destination, and were left"
        )
    what = f"{counted_text(total.objects, 'object')} of {format_size(total.bytes)}"
    were = "was " if total.objects == 1 else "were "
    say(f"{what} {would or were}removed from {freed.destination}")


def _freed_as_json(freed: Freed) -> dict[str, Any]:
    values = {name: value for name, value in vars(freed).items() if name not in ("runs", "unknown", "failed")}
    return {
        **values,
        "total": freed.total._asdict(),
        "kinds": {kind: amount._asdict() for kind, amount in freed.kinds.items()},
        "runs": {
            run_id: {kind: amount._asdict() for kind, amount in kinds.items()} for run_id, kinds in freed.runs.items()
        },
        "unknown": freed.unknown._asdict(),
        "failed": [one._asdict() for one in freed.failed],
    }


def print_compacted(compacted: Compacted, *, is_json: bool, is_quiet: bool) -> None:
    """Print what a compaction did."""
    if is_json:
        # only ASCII, which every output takes
        say_text(json.dumps({**compacted._asdict(), "run_id": compacted.run_id or None}, indent=2))
    elif is_quiet:
        return
    elif not compacted.run_id:
        say(f"run {compacted.parent} has nothing to join: no two of its shards fit together, or all are compacted")
    else:
        say(
            f"run {compacted.run_id} replaces {counted_text(compacted.manifests_before, 'manifest')} of run "
            f"{compacted.parent} by {compacted.manifests:,}",
            f"{counted_text(compacted.shards_before, 'shard')} became {compacted.shards:,}, with "
            f"{counted_text(compacted.records, 'record')} in {format_size(compacted.object_bytes)}",
        )
