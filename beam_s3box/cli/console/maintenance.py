"""What was joined or freed, for people and as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Final

from beam_s3box import metrics
from beam_s3box.cli.console.output import say, say_text
from beam_s3box.runs.compact import Compacted
from beam_s3box.sizes import format_seconds, format_size

_MIN_SECONDS: Final = 0.001


class JoinProgress:
    """How far a compaction is.

    Args:
      totals: the counts so far.
      clock: seconds.
    """

    def __init__(self, totals: Callable[[], Mapping[str, int]], clock: Callable[[], float] = time.monotonic) -> None:
        self._totals = totals
        self._clock = clock
        self._began = clock()

    def line(self) -> str:
        """Return how far it is."""
        totals = self._totals()
        seconds = max(self._clock() - self._began, _MIN_SECONDS)
        read = totals.get(metrics.INPUT_BYTES, 0)
        return " · ".join(
            [
                f"{format_size(read)} read",
                f"{totals.get(metrics.SHARDS, 0):,} shards written",
                f"{format_size(int(read / seconds))}/s",
                format_seconds(int(seconds)),
            ]
        )


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
            f"run {compacted.run_id} replaces {_number(compacted.manifests_before, 'manifest')} of run "
            f"{compacted.parent} by {compacted.manifests:,}",
            f"{_number(compacted.shards_before, 'shard')} became {compacted.shards:,}, with "
            f"{_number(compacted.records, 'record')} in {format_size(compacted.object_bytes)}",
        )


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
