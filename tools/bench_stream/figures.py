"""From runs to figures: rates, ratios and state traffic, each as the median with its range."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Run = Mapping[str, Any]
"""What `cases.measured` says of one pipeline."""

RATIO_GOAL = 3.0
STATE_GOAL = 0.01


class Figure(NamedTuple):
    """A number that was measured several times.

    Attributes:
      median, low, high: of it.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Figure:
        """Return the figure of some values."""
        found = sorted(values)
        return cls(statistics.median(found), found[0], found[-1])


class Round(NamedTuple):
    """The three pipelines, run one behind the other.

    Attributes:
      ours: with our write.
      theirs: with GroupIntoBatches.
      read: the source alone.
    """

    ours: Run
    theirs: Run
    read: Run


def rate(run: Run) -> float:
    """Return records a second."""
    return float(run["records"] / run["seconds"])


def speed_up(round: Round) -> float:
    """Return how many times as fast our pipeline is, the source included."""
    return rate(round.ours) / rate(round.theirs)


def speed_up_without_source(round: Round) -> float:
    """Return the same of the writes alone: the source takes its time from both."""
    return (_pace(round.theirs) - _pace(round.read)) / (_pace(round.ours) - _pace(round.read))


def share_of_read(round: Round) -> float:
    """Return our rate as a share of that of the source alone."""
    return rate(round.ours) / rate(round.read)


def state_traffic(run: Run) -> float:
    """Return reads and writes of state for each record."""
    counts = run["counts"]
    return float((counts["state_reads"] + counts["state_writes"]) / counts["records_in"])


def check(run: Run, records: int) -> Run:
    """Return the run.

    Raises:
      RuntimeError: it wrote another number of records: what was measured is not what was meant.
    """
    if run["records"] != records:
        raise RuntimeError(f"a run wrote {run['records']:,} records of {records:,}: {dict(run)}")
    return run


def summary(rounds: Sequence[Round]) -> dict[str, Figure]:
    """Return all figures of some rounds."""
    return {
        "ours": Figure.of(rate(round.ours) for round in rounds),
        "theirs": Figure.of(rate(round.theirs) for round in rounds),
        "read": Figure.of(rate(round.read) for round in rounds),
        "speed_up": Figure.of(map(speed_up, rounds)),
        "without_source": Figure.of(map(speed_up_without_source, rounds)),
        "share_of_read": Figure.of(map(share_of_read, rounds)),
        "state": Figure.of(state_traffic(round.ours) for round in rounds),
    }


def _pace(run: Run) -> float:
    return float(run["seconds"] / run["records"])
