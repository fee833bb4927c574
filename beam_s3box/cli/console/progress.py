"""Says how far a run is: a live line on a terminal, else a line in the log every 10 seconds."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from beam_s3box import metrics
from beam_s3box.cli.console.output import has_live_lines, live_line
from beam_s3box.sizes import format_size

Totals: TypeAlias = Callable[[], Mapping[str, int]]

_LIVE_SECONDS = 0.25
LOG_SECONDS: Final = 10.0
"""Seconds between two lines in the log."""

_MIN_RATE_SECONDS = 0.001


class Progress:
    """Where the figures of a run come from, and how they read.

    Args:
      totals: the counts so far.
      clock: seconds.
    """

    def __init__(self, totals: Totals, clock: Callable[[], float] = time.monotonic) -> None:
        self._totals = totals
        self._clock = clock
        self._begun = clock()

    def line(self) -> str:
        """Return how far the run is."""
        totals = self._totals()
        seconds = max(self._clock() - self._begun, _MIN_RATE_SECONDS)
        if not any(totals.values()):
            # at the very start, and for all of a run in local worker processes: those count, and tell only at the end
            return f"at work · {int(seconds)} s"
        raw_bytes = totals.get(metrics.RAW_BYTES, 0)
        parts = [
            f"{totals.get(metrics.RECORDS_IN, 0):,} records",
            f"{format_size(raw_bytes)} packed",
            f"{totals.get(metrics.SHARDS, 0):,} shards",
            f"{format_size(totals.get(metrics.OBJECT_BYTES, 0))} on S3",
            f"{format_size(int(raw_bytes / seconds))}/s",
            f"{int(seconds)} s",
        ]
        if totals.get(metrics.DEAD_LETTERS):
            parts.insert(1, f"{totals[metrics.DEAD_LETTERS]:,} dead letters")
        return " · ".join(parts)


@contextlib.contextmanager
def shown(
    progress: Progress, log: logging.Logger, log_seconds: float = LOG_SECONDS, *, is_quiet: bool = False
) -> Iterator[None]:
    """Show the progress until the block ends, unless that is to be quiet; without a terminal, every `log_seconds`."""
    with contextlib.ExitStack() as undo:
        if not is_quiet and has_live_lines():
            show = undo.enter_context(live_line())
            undo.enter_context(_every(_LIVE_SECONDS, lambda: show(progress.line()), log))
        elif not is_quiet:
            undo.enter_context(_every(log_seconds, lambda: log.info(progress.line()), log))
        yield


@contextlib.contextmanager
def _every(seconds: float, action: Callable[[], object], log: logging.Logger) -> Iterator[None]:
    """Do something every so many seconds, in a thread of its own, until the block ends."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(seconds):
            try:
                action()
            except Exception:  # whatever a runner's metrics raise: the run goes on without a progress line
                log.warning("no more progress lines: the counters can't be read", exc_info=True)
                return

    thread = threading.Thread(target=repeat, name="beam_s3box-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
