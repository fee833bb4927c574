"""How unbounded input arrives, and how many windows and shards that makes of a stream."""

from __future__ import annotations

import dataclasses
import math

from beam_s3box.checks import check_positive
from beam_s3box.errors import ConfigurationError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arrival:
    """The times of unbounded input, in seconds. Records are taken to arrive evenly.

    Attributes:
      seconds: in which all of the input arrives.
      window: the length of a window.
      slide: from the begin of a window to that of the next one; `window` for fixed windows.
      max_seconds: the age of a shard's first record when the shard is sealed; None for no such limit.
      delay: how long a window waits for records after its end.
      triggering_frequency: between early manifests; None for none.
      lanes: over which each stream is spread.
    """

    seconds: float
    window: float = 60.0
    slide: float = 60.0
    max_seconds: float | None = 60.0
    delay: float = 0.0
    triggering_frequency: float | None = None
    lanes: int = 1

    def __post_init__(self) -> None:
        check_positive("arrives_in", self.seconds)
        if self.seconds < self.window:
            raise ConfigurationError(
                f"arrives_in={self.seconds:g} s must be at least the window, {self.window:g} s: give the time in which "
                "all of the input arrives, such as 1d for the files of a day"
            )

    @property
    def windows(self) -> float:
        """The number of windows that the input is in."""
        return self.seconds / self.slide

    @property
    def copies(self) -> float:
        """In how many windows each record is."""
        return self.window / self.slide

    def filled(self, records: float) -> float:
        """Return how many windows have at least one of so many records of the whole input."""
        return self.windows * -math.expm1(-records * self.window / self.seconds)

    def aged(self, records: float) -> float:
        """Return how many shards windows and age alone make of a stream of so many records.

        A shard takes what comes in `max_seconds` after its first record, and the next one begins with the record after.
        """
        in_lane = records / self.lanes
        shards = self.filled(in_lane)
        if self.max_seconds is not None and self.max_seconds < self.window and in_lane > 0:
            wait = self.seconds / in_lane
            each = self.max_seconds + wait
            # of a renewal process: its length over the mean of a period, and what its begin and end add
            in_window = self.window / each + (each**2 + wait**2) / (2 * each**2) - wait / each
            shards = max(shards, self.windows * in_window)
        return shards * self.lanes

    def firings(self, filled: float, shards: float) -> float:
        """Return how many times windows list shards: at their end, and early if that is wanted."""
        if self.triggering_frequency is None or self.triggering_frequency >= self.window:
            return filled
        return min(shards, filled * self.window / self.triggering_frequency)

    @property
    def listed_within(self) -> tuple[float, float]:
        """Seconds from a record's arrival until a manifest lists it, on average and at most, without the upload."""
        mean, most = self.window / 2 + self.delay, self.window + self.delay
        if self.triggering_frequency is None:
            return mean, most
        age = min(self.max_seconds if self.max_seconds is not None else self.window, self.window)
        early = age + self.triggering_frequency
        return min(mean, early / 2), min(most, early)
