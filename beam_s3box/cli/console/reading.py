"""How far a command is that only reads: `report` and `plan`."""

from __future__ import annotations

import time
from collections.abc import Callable

from beam_s3box import metrics
from beam_s3box.cli.console.progress import Totals
from beam_s3box.sizes import format_seconds, format_size


class ReadingProgress:
    """What was read so far.

    Args:
      totals: the counts so far.
      clock: seconds.
    """

    def __init__(self, totals: Totals, clock: Callable[[], float] = time.monotonic) -> None:
        self._totals = totals
        self._clock = clock
        self._began = clock()

    def line(self) -> str:
        """Return how far it is."""
        get = self._totals().get
        parts = {
            "shards read": f"{get(metrics.SHARDS, 0):,}" if get(metrics.SHARDS) else "",
            "of input read": format_size(get(metrics.INPUT_BYTES, 0)) if get(metrics.INPUT_BYTES) else "",
            "records": f"{get(metrics.RECORDS_IN, 0):,}" if get(metrics.RECORDS_IN) else "",
        }
        shown = [f"{number} {what}" for what, number in parts.items() if number]
        return " · ".join([*(shown or ["at work"]), format_seconds(int(self._clock() - self._began))])
