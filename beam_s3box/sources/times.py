"""When records of a source happened, and which of them go together in one element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from beam_s3box.sources.source import Fetched


class Placed(NamedTuple):
    """Records by the time that they count for, in microseconds since 1970.

    Attributes:
      groups: places of records among those fetched, by the begin of a period.
      latest: time among them; 0 for none.
      counts: what else is to be counted, by name.
    """

    groups: Mapping[int, Sequence[int]]
    latest: int
    counts: Mapping[str, int] = {}


class EventTimes(Protocol):
    """Says for which time a record counts. It is pickled."""

    def place(self, fetched: Fetched, watermark: int | None, now: int) -> Placed:
        """Return records by period.

        Args:
          fetched: some records.
          watermark: of their reader, None if that is not known.
          now: in microseconds since 1970.
        """
        ...


class ArrivalTimes(NamedTuple):
    """Records count for when they came, by the source.

    Attributes:
      period: microseconds; the records of one that are fetched together are one element, which counts for its begin.
    """

    period: int

    def place(self, fetched: Fetched, watermark: int | None, now: int) -> Placed:
        """Return records by period."""
        millis, period = fetched.millis, self.period
        if not millis:
            return Placed({}, 0)
        first, last = min(millis) * 1_000 // period, max(millis) * 1_000
        if first == last // period:
            return Placed({first * period: range(len(millis))}, last)
        groups: dict[int, list[int]] = {}
        for at, one in enumerate(millis):
            groups.setdefault(one * 1_000 // period * period, []).append(at)
        return Placed(groups, last)
