"""Says how far a job is, wherever it runs."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping

from beam_s3box.cli.console import progress as cli_progress
from beam_s3box.cli.console.progress import LOG_SECONDS, Totals
from beam_s3box.metrics import PROGRESS

_LOGGER = logging.getLogger(__name__)
_POLL_SECONDS = 5.0
"""Remote counters are asked for no more often."""


class Progress(cli_progress.Progress):
    """Where the figures of a running job come from.

    Args:
      totals: the counts so far; default: those of this process, from now on.
      clock: seconds.
      input_bytes: bytes of all files that are to be read; None if unknown.
    """

    def __init__(
        self,
        totals: Totals | None = None,
        clock: Callable[[], float] = time.monotonic,
        input_bytes: int | None = None,
    ) -> None:
        super().__init__(totals or _from_now_on(PROGRESS.totals), clock, input_bytes)

    def follow(self, totals: Totals, seconds: float = _POLL_SECONDS) -> None:
        """Also take the figures from here from now on, because the work may be done in another process or place.

        Args:
          totals: the counts there.
          seconds: for which they are taken as they were.
        """
        self._totals = _larger_of(self._totals, _at_most_every(seconds, totals, self._clock))


def shown(
    progress: Progress, log_seconds: float = LOG_SECONDS, *, is_quiet: bool = False
) -> contextlib.AbstractContextManager[None]:
    """Show the progress until the block ends; without a terminal, every `log_seconds`."""
    return cli_progress.shown(progress, _LOGGER, log_seconds, is_quiet=is_quiet)


def _from_now_on(totals: Totals) -> Totals:
    """Return the counts without what was counted before."""
    before = dict(totals())

    def since() -> dict[str, int]:
        return {name: count - before.get(name, 0) for name, count in totals().items()}

    return since


def _larger_of(here: Totals, there: Totals) -> Totals:
    """Return the counts of both: some runners tell none before the end, and some do the work in this process."""

    def larger() -> dict[str, int]:
        own, others = here(), there()
        return {name: max(own.get(name, 0), others.get(name, 0)) for name in own.keys() | others.keys()}

    return larger


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
