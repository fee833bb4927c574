"""How far reading commands are."""

from __future__ import annotations

import itertools

from beam_s3box.cli.console.reading import ReadingProgress
from beam_s3box.metrics import INPUT_BYTES, RECORDS_IN, SHARDS, MemoryMetrics


def test_only_what_is_counted_is_shown() -> None:
    counts = MemoryMetrics()
    progress = ReadingProgress(counts.totals, itertools.count(0, 5).__next__)
    assert progress.line() == "at work · 5 s"
    counts.count(INPUT_BYTES, 2_000_000)
    counts.count(RECORDS_IN, 12_000)
    assert progress.line() == "2.0 MB of input read · 12,000 records · 10 s"
    counts = MemoryMetrics()
    counts.count(SHARDS, 4_000)
    assert ReadingProgress(counts.totals, lambda: 0.0).line() == "4,000 shards read · 0 s"
