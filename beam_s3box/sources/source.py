"""What a source is to `ReadParts`: parts that each have positions, as partitions of a topic, and readers of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

Positions: TypeAlias = Mapping[str, str]
"""Of each part, by its name, the position of what is to be read next; what that means is the source's own business."""


@dataclasses.dataclass(slots=True)
class Fetched:
    """Records of one part that follow one another, kept by column.

    Attributes:
      part: which they are of.
      position: of what comes after them.
      millis: when each came, by the source, in milliseconds since 1970.
      values: what each is, never None.
      numbers: which each is within its part, for people.
      passed: how many others had no value, and are passed over.
      messages: the records as the source's client has them, for `Source.rows`; those without a value included.
    """

    part: str
    position: str
    millis: list[int]
    values: list[bytes]
    numbers: Sequence[int | str]
    passed: int = 0
    messages: Sequence[Any] = ()


class Look(NamedTuple):
    """What a look for parts found.

    Attributes:
      new: parts that are not read yet, and where they begin.
      gone: parts that are read to their ends, and that the source has forgotten.
    """

    new: Positions
    gone: Sequence[str] = ()


class PartReader(Protocol):
    """An open reader of some parts. It is used by one thread at a time, and stays open from one bundle to the next."""

    def look(self, is_mine: Callable[[str], bool]) -> Look | None:
        """Find parts that this reader does not have yet, and take those that are its own.

        Args:
          is_mine: returns whether a part belongs to this reader.

        Returns:
          None if the source does not answer now: that holds the watermark, because a part may be new there.
        """
        ...

    def poll(self, seconds: float) -> list[Fetched]:
        """Return what has come, after waiting so long at most.

        A source that does not answer now gives nothing, and its parts are not at their ends.

        Raises:
          ConfigurationError: going on would lose records, or can't work at all.
        """
        ...

    def at_end(self, part: str) -> bool:
        """Return whether the source has said that nothing follows in this part, and nothing has come since."""
        ...

    def committed(self, positions: Positions) -> None:
        """Take note of positions that the runner will never go back behind but by its checkpoints."""
        ...

    def close(self) -> None:
        """Free all that the reader holds."""
        ...


class Source(Protocol):
    """A source. It is pickled, and so holds neither clients nor secrets."""

    def first(self) -> Positions:
        """Return all parts, and where to begin to read each.

        Raises:
          ConfigurationError: there is no such source, or no such position.
        """
        ...

    def number_of(self, part: str) -> int:
        """Return a number that says whose part this is: readers share parts by it, today's and those to come."""
        ...

    def name_of(self, part: str) -> str:
        """Return how dead letters name the place that their record came from."""
        ...

    def domain_of(self, part: str) -> str | None:
        """Return the domain of all records of a part; None if records name it themselves."""
        ...

    def rows(self, fetched: Fetched) -> Iterator[tuple[int, Any]]:
        """Yield each record, also one without a value, as a row, with when it came in microseconds since 1970."""
        ...

    def open(self, positions: Positions) -> PartReader:
        """Return a reader that goes on from these positions.

        Raises:
          ConfigurationError: going on there can't work.
        """
        ...
