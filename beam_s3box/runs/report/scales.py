"""Classes of numbers for histograms, and the ticks of an axis."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from beam_s3box.sizes import format_seconds

_SECONDS: Final = (
    *(0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0),
    *(1_800.0, 3_600.0, 7_200.0, 14_400.0, 28_800.0, 43_200.0, 86_400.0, 172_800.0, 604_800.0, 2_592_000.0),
)


class Histogram(NamedTuple):
    """Numbers by class.

    Attributes:
      edges: of the classes, ascending; one more than there are classes.
      counts: how many numbers are in each class.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    def place(self, value: float) -> float:
        """Return where a number is on the axis: 0.0 at the left edge, and 1.0 more for each class."""
        at = min(max(bisect.bisect_right(self.edges, value) - 1, 0), len(self.counts) - 1)
        low, high = self.edges[at], self.edges[at + 1]
        if low > 0 and high > low and high / low >= 2:
            part = math.log(max(value, low) / low) / math.log(high / low)
        else:
            part = (value - low) / (high - low) if high > low else 0.0
        return at + min(max(part, 0.0), 1.0)


def log_histogram(values: Sequence[float], least: float, also: Iterable[float] = ()) -> Histogram:
    """Return numbers in classes that begin at 1, 2 and 5 times the powers of ten.

    Args:
      values: the numbers.
      least: smaller ones are in the first class.
      also: numbers that the axis shall reach.
    """
    reached = [max(value, least) for value in (*also, *values)]
    low, high = min(reached, default=least), max(reached, default=least)
    edges = [edge for edge in _steps(least, high * 10) if edge > low / 5.001]
    while len(edges) > 2 and edges[1] <= low:
        edges.pop(0)
    end = next((number for number, edge in enumerate(edges) if edge > high), len(edges) - 1)
    edges = edges[: max(end, 1) + 1]
    return _counted(edges, values)


def seconds_histogram(values: Sequence[float]) -> Histogram:
    """Return times in classes that begin where clocks have a name for it: 10 s, 30 s, 1 min, ..."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    first = min(max(bisect.bisect_right(_SECONDS, low) - 1, 0), len(_SECONDS) - 2)
    last = min(bisect.bisect_right(_SECONDS, high), len(_SECONDS) - 1)
    return _counted(_SECONDS[first : max(last, first + 1) + 1], values)


def linear_histogram(values: Sequence[float], classes: int = 20) -> Histogram:
    """Return numbers in classes of one width, which is a round number."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    width = nice((high - low) / classes or max(abs(high), 1.0) / classes)
    begin = math.floor(low / width) * width
    count = max(int((high - begin) / width) + 1, 1)
    return _counted([begin + number * width for number in range(count + 1)], values)


def nice(width: float) -> float:
    """Return the next number of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(width))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= width * 0.999)


def ticks(most: float, count: int = 4) -> list[float]:
    """Return round numbers from 0 up to the first one that `most` does not exceed."""
    if most <= 0:
        return [0.0, 1.0]
    width = max(nice(most / count), 1.0)
    return [number * width for number in range(math.ceil(most / width) + 1)]


def short_seconds(seconds: float) -> str:
    """Return a time for an axis: `200 ms`, `5 s`, `2 min`."""
    if seconds == 0:
        return "0"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.1f} {name}".replace(".0 ", " ")
    return f"{seconds:.0f} s"


def wait_text(seconds: float) -> str:
    """Return a waiting time for people."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else format_seconds(float(seconds))


def _steps(least: float, most: float) -> list[float]:
    power = math.floor(math.log10(least))
    found = []
    while 10.0**power <= most:
        found += [step * 10.0**power for step in (1, 2, 5)]
        power += 1
    return [*found, 10.0**power]


def _counted(edges: Sequence[float], values: Sequence[float]) -> Histogram:
    counts = [0] * (len(edges) - 1)
    for value in values:
        counts[min(max(bisect.bisect_right(edges, value) - 1, 0), len(counts) - 1)] += 1
    return Histogram(tuple(edges), tuple(counts))
