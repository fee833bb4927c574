"""For which period a record of a stream counts, by when it happened and when its file arrived."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from beam_s3box.jobs.options.windows import Timing
from beam_s3box.records.event_times import MICROS
from beam_s3box.records.event_times import field_reader as field_reader
from beam_s3box.records.event_times import micros_of as micros_of

AHEAD = 600 * MICROS
"""That much a record's clock may be ahead; a window that lies further ahead would keep its manifest waiting."""

OLDEST_ARRIVAL = 3600 * MICROS
"""That long ago a file may have arrived when it is found, and still counts for when it arrived: as long as a job may
take to go on after it went back to a checkpoint. For so long windows are kept."""


class Placed(NamedTuple):
    """Lines by the time that they count for.

    Attributes:
      groups: places of lines in their batch, by the start of a period, in microseconds since 1970.
      untimed, ahead, too_late: how many lines count for the time their file arrived, because they hold no time, one
        that lies ahead, or one whose window is gone.
    """

    groups: dict[int, Sequence[int]]
    untimed: int = 0
    ahead: int = 0
    too_late: int = 0


class Placer:
    """Says for which period a line counts.

    No line is rejected here, and none is too late for the manifest of its window: such a line counts for the period in
    which its file arrived, which is still kept. The answer depends on nothing but the line and that time, so that a
    line that is read again, after a runner went back, counts for the same period.

    Args:
      timing: when records happened, and which go together.

    Raises:
      ConfigurationError: the name of the field can't be one.
    """

    def __init__(self, timing: Timing) -> None:
        self._windows = timing.windows
        self._micros_of = None if timing.field is None else field_reader(timing.field)
        self._delay = int(timing.delay * MICROS)
        self._lateness = int(timing.lateness * MICROS)

    def place(self, lines: list[bytes], arrived: int) -> Placed:
        """Return lines by period.

        Args:
          lines: of one file.
          arrived: when the file did (see `arrival_of`).
        """
        windows = self._windows
        arrival = windows.period_of(arrived)
        if self._micros_of is None:
            return Placed({windows.start_of(arrival): range(len(lines))})
        micros_of, period_of = self._micros_of, windows.period_of
        first, latest = self._first_open(arrived), arrived + AHEAD
        periods: dict[int, list[int]] = {}
        untimed = ahead = too_late = 0
        for at, line in enumerate(lines):
            micros = micros_of(line)
            if micros is None:
                untimed += 1
                period = arrival
            elif micros > latest:
                ahead += 1
                period = arrival
            else:
                period = period_of(micros)
                if period < first:
                    too_late += 1
                    period = arrival
            group = periods.get(period)
            if group is None:
                periods[period] = [at]
            else:
                group.append(at)
        groups: dict[int, Sequence[int]] = {windows.start_of(period): group for period, group in periods.items()}
        return Placed(groups, untimed, ahead, too_late)

    def _first_open(self, arrived: int) -> int:
        """Return the first period all of whose windows are open, lateness included, when the file arrives."""
        # a window is over for its records once the watermark, which is that time - delay, has passed its lateness
        return self._windows.period_of(arrived - self._delay - self._lateness)


def arrival_of(changed: float, found: int, begun: int) -> int | None:
    """Return when a file arrived: when it was last changed, or when the job began, whichever is later.

    Both stay as they are when a runner goes back to a checkpoint and the job finds the file again, later.

    Args:
      changed: when the file was last changed, in seconds since 1970; 0 if its file system does not record it.
      found: when the job found it.
      begun: when the job began.

    Returns:
      Microseconds since 1970. None for a file that was changed more than an hour before it is found, so that its window
      may be gone, or by a clock far ahead.
    """
    arrived = max(int(changed * MICROS), begun)
    return arrived if changed and found - OLDEST_ARRIVAL <= arrived <= found + AHEAD else None
