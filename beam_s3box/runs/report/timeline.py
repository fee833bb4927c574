"""Windows, or spans of time, as a chart can show them: few, and on an axis that one wrong clock does not stretch."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from beam_s3box.runs.report.figures import WindowFigures

MAX_COLUMNS: Final = 96
"""Columns of the chart."""

_OUTLIERS: Final = 0.02
"""The share of windows at each end that may stand apart."""

_STRETCH: Final = 8.0
"""The axis is cut if all windows take so many times as long as those without the outliers."""


class TimeColumn(NamedTuple):
    """The sum of neighbouring windows.

    Attributes:
      sums: the windows together.
      delays: seconds from a window's end until its first manifest and its last one were written, the least and the
        most; None if unknown.
    """

    sums: WindowFigures
    delays: tuple[float, float] | None


class Timeline(NamedTuple):
    """Columns of a chart.

    Attributes:
      columns: each some neighbours.
      begin, end: of the axis, in seconds since the epoch.
      each_seconds: the length of a column.
      outside: windows far from the others, which have no column.
    """

    columns: Sequence[TimeColumn]
    begin: float
    end: float
    each_seconds: float
    outside: Sequence[WindowFigures]


def timeline_of(windows: Sequence[WindowFigures]) -> Timeline:
    """Return the columns for windows, which are in the order of their begin."""
    inside, outside = _split(windows)
    if not inside:
        return Timeline([], 0.0, 0.0, 0.0, outside)
    begin, end = inside[0].begin, max(window.end for window in inside)
    # whole windows in a column, or neighbours would differ for nothing
    shortest = min(max(window.end - window.begin, 0.001) for window in inside)
    each = shortest * max(math.ceil((end - begin) / shortest / MAX_COLUMNS - 1e-6), 1)
    count = max(math.ceil((end - begin) / each - 1e-6), 1)
    groups: list[list[WindowFigures]] = [[] for _ in range(count)]
    for window in inside:
        groups[min(int((window.begin - begin) / each + 1e-6), count - 1)].append(window)
    columns = [_column(begin + number * each, each, group) for number, group in enumerate(groups)]
    return Timeline(columns, begin, end, each, outside)


def moment_label(seconds: float, span_seconds: float) -> str:
    """Return a time in UTC for an axis that is so long."""
    try:
        moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return "?"
    if span_seconds < 10:
        return f"{moment:%H:%M:%S}.{moment.microsecond // 100_000}"
    if span_seconds < 900:
        return f"{moment:%H:%M:%S}"
    if span_seconds < 2 * 86_400:
        return f"{moment:%H:%M}"
    return f"{moment:%b %d}" if span_seconds < 300 * 86_400 else f"{moment:%Y-%m}"


def moment_text(seconds: float) -> str:
    """Return a time in UTC: `2026-11-22 10:15:00`."""
    try:
        return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):
        return "?"


def _split(windows: Sequence[WindowFigures]) -> tuple[Sequence[WindowFigures], Sequence[WindowFigures]]:
    """Return the windows that are shown, and those that stand apart."""
    if len(windows) < 3:
        return windows, ()
    cut = max(int(len(windows) * _OUTLIERS), 1)
    core = windows[cut:-cut]
    span = max(core[-1].end - core[0].begin, core[0].end - core[0].begin)
    margin = span * _STRETCH / 2
    low, high = core[0].begin - margin, core[-1].end + margin
    outside = [window for window in windows if window.begin < low or window.end > high]
    if not outside:
        return windows, ()
    return [window for window in windows if low <= window.begin and window.end <= high], outside


def _column(begin: float, seconds: float, windows: Sequence[WindowFigures]) -> TimeColumn:
    sums = WindowFigures(begin, begin + seconds)
    for window in windows:
        sums.records += window.records
        sums.shards += window.shards
        sums.object_bytes += window.object_bytes
        sums.manifests += window.manifests
        sums.panes = max(sums.panes, window.panes)
    firsts = [window.first_listed - window.end for window in windows if window.first_listed is not None]
    lasts = [window.last_listed - window.end for window in windows if window.last_listed is not None]
    return TimeColumn(sums, (min(firsts), max(lasts)) if firsts else None)
