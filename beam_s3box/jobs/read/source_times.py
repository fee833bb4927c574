"""When records of a source happened, for the streaming job: by a field of theirs, else by the source."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

from beam_s3box.jobs.options.windows import MICROS, Timing
from beam_s3box.jobs.read.counts import AHEAD as AHEAD_COUNT
from beam_s3box.jobs.read.counts import READ, TOO_LATE, UNTIMED
from beam_s3box.jobs.read.event_times import AHEAD, field_reader
from beam_s3box.sources.source import Fetched
from beam_s3box.sources.times import Placed


class SourceTimes(NamedTuple):
    """Places records in the periods of the job's windows.

    None is too late for its window's manifest: one whose windows the watermark has passed, lateness included, counts
    for the period that the watermark has come to. That is measured by the watermark and not by the clock, so that a
    backlog of history is on time. What a record without a usable time counts for is when it came, by the source.

    Attributes:
      timing: of the job.
    """

    timing: Timing

    def place(self, fetched: Fetched, watermark: int | None, now: int) -> Placed:
        """Return records by period; what a time to come counts for is when the record came, or now."""
        windows, field = self.timing.windows, self.timing.field
        first = 0 if watermark is None else self._first_open(watermark)
        times = [min(millis * 1_000, now) for millis in fetched.millis]
        untimed = ahead = too_late = latest = 0
        if field is not None:
            micros_of = _reader(field)
            for at, line in enumerate(fetched.values):
                micros = micros_of(line)
                if micros is None:
                    untimed += 1
                elif micros > times[at] + AHEAD:
                    ahead += 1
                else:
                    times[at] = micros
        if times:
            latest = max(times)
        groups: dict[int, Sequence[int]]
        low, high = (windows.period_of(min(times)), windows.period_of(latest)) if times else (0, 0)
        if low == high and low >= first:
            groups = {windows.start_of(low): range(len(times))} if times else {}
        else:
            groups, too_late = self._grouped(times, first, watermark or 0)
        counts = {UNTIMED: untimed, AHEAD_COUNT: ahead, TOO_LATE: too_late}
        if windows.each_in > 1:
            counts[READ] = len(times) * (windows.each_in - 1)  # besides once, which readers count
        return Placed(groups, latest, counts)

    def _grouped(self, times: list[int], first: int, watermark: int) -> tuple[dict[int, Sequence[int]], int]:
        windows = self.timing.windows
        present, too_late = windows.period_of(watermark), 0
        periods: dict[int, list[int]] = {}
        for at, micros in enumerate(times):
            period = windows.period_of(micros)
            if period < first:
                period = present
                too_late += 1
            periods.setdefault(period, []).append(at)
        return {windows.start_of(period): places for period, places in periods.items()}, too_late

    def _first_open(self, watermark: int) -> int:
        """Return the first period all of whose windows are open, lateness included."""
        return self.timing.windows.period_of(watermark - int(self.timing.lateness * MICROS))


@functools.cache
def _reader(field: str) -> Callable[[bytes], int | None]:
    return field_reader(field)
