"""Says how far a job is: a live line on a terminal, else a line in the log every 10 seconds."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from beam_s3box import metrics
from beam_s3box.metrics import PROGRESS
from beam_s3box.sizes import format_size

Totals: TypeAlias = Callable[[], Mapping[str, int]]

_LOGGER = logging.getLogger(__name__)
_LIVE_SECONDS = 0.25
_LOG_SECONDS = 10.0
_POLL_SECONDS = 5.0
"""Remote counters are asked for no more often."""

_MIN_RATE_SECONDS = 0.001


class Progress:
    """Where the figures of a running job come from, and how they read.

    Args:
      totals: the counts so far; default: those of this process, from now on.
      clock: seconds.
    """

    def __init__(self, totals: Totals | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._totals = totals or _from_now_on(PROGRESS.totals)
        self._clock = clock
        self._begun = clock()

    def follow(self, totals: Totals) -> None:
        """Take the figures from here from now on, because the work is done in another process or place."""
        self._totals = _at_most_every(_POLL_SECONDS, totals, self._clock)

    def line(self) -> str:
        """Return how far the job is."""
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
def shown(progress: Progress, log_seconds: float = _LOG_SECONDS) -> Iterator[None]:
    """Show the progress until the block ends; without a terminal, every `log_seconds`."""
    if sys.stderr.isatty():
        with _live(progress):
            yield
        return
    with _every(log_seconds, lambda: _LOGGER.info(progress.line())):
        yield


@contextlib.contextmanager
def _live(progress: Progress) -> Iterator[None]:
    from rich.console import Console

    live = Console(stderr=True).status(progress.line())
    with live, _every(_LIVE_SECONDS, lambda: live.update(progress.line())):
        yield


@contextlib.contextmanager
def _every(seconds: float, action: Callable[[], object]) -> Iterator[None]:
    """Do something every so many seconds, in a thread of its own, until the block ends."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(seconds):
            try:
                action()
            except Exception:  # whatever a runner's metrics raise: the job goes on without a progress line
                _LOGGER.warning("no more progress lines: this runner's counters can't be read", exc_info=True)
                return

    thread = threading.Thread(target=repeat, name="pipelines-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _from_now_on(totals: Totals) -> Totals:
    """Return the counts without what was counted before."""
    before = dict(totals())

    def since() -> dict[str, int]:
        return {name: count - before.get(name, 0) for name, count in totals().items()}

    return since


def _at_most_every(seconds: float, totals: Totals, clock: Callable[[], float]) -> Totals:
    """Return the counts, asked for again only when they are that old."""
    latest: Mapping[str, int] = {}
    due = clock()

    def remembered() -> Mapping[str, int]:
        nonlocal latest, due
        if clock() >= due:
            latest = totals()
            due = clock() + seconds
        return latest

    return remembered
