"""The work of a reader as a runner splits and keeps it: its parts, and how far it has come in each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from apache_beam.coders import BooleanCoder, Coder, StrUtf8Coder, TupleCoder, TupleSequenceCoder
from apache_beam.io.iobase import RestrictionProgress, RestrictionTracker
from apache_beam.transforms.core import RestrictionProvider


class PartRange(NamedTuple):
    """What has been read of a part.

    Attributes:
      part: its name.
      first: position where the run began.
      position: of what is to be read next.
    """

    part: str
    first: str
    position: str


Ranges: TypeAlias = tuple[PartRange, ...]

ReaderElement: TypeAlias = tuple[int, int, int, tuple[tuple[str, str], ...]]
"""The number of a reader, of how many, when all began in microseconds since 1970, and its parts with positions."""


class ReaderWork(NamedTuple):
    """The restriction of a reader.

    Attributes:
      ranges: its parts, by name.
      is_done: whether all that is left belongs to somebody else.
    """

    ranges: Ranges
    is_done: bool


class PartsTracker(RestrictionTracker):
    """Lets positions be claimed, and answers only a split at once: a part has one reader, so nothing can be shared."""

    def __init__(self, work: ReaderWork) -> None:
        self._ranges, self._done = work

    def current_restriction(self) -> ReaderWork:
        """Return the work."""
        return ReaderWork(self._ranges, self._done)

    def try_claim(self, ranges: Ranges | None) -> bool:
        """Return whether all before these positions counts as read here; None says that nothing more is read at all."""
        if self._done:
            return False
        if ranges is None:
            self._done = True
        else:
            self._ranges = ranges
        return True

    def try_split(self, fraction_of_remainder: float) -> tuple[ReaderWork, ReaderWork] | None:
        """Return what is read and what is not, if that is asked for; None for any other split."""
        if fraction_of_remainder != 0 or self._done:
            return None
        self._done = True
        return ReaderWork(self._ranges, True), ReaderWork(self._ranges, False)

    def check_done(self) -> bool:
        """Return True where the reader ended or its rest belongs to somebody else.

        Raises:
          ValueError: neither is so.
        """
        if not self._done:
            raise ValueError(f"{self._ranges} were neither read to an end nor put off")
        return True

    def current_progress(self) -> RestrictionProgress:
        """Return none: nobody knows how much will come."""
        return RestrictionProgress(fraction=0.0)

    def is_bounded(self) -> bool:
        """Return whether the work has an end, as what is read has."""
        return self._done


_RANGES: Final = TupleSequenceCoder(TupleCoder([StrUtf8Coder(), StrUtf8Coder(), StrUtf8Coder()]))
_WORK: Final = TupleCoder([_RANGES, BooleanCoder()])


class WorkCoder(Coder):
    """Encodes the work."""

    def encode(self, value: ReaderWork) -> bytes:
        """Return the work as bytes."""
        encoded: bytes = _WORK.encode((tuple(map(tuple, value.ranges)), value.is_done))
        return encoded

    def decode(self, encoded: bytes) -> ReaderWork:
        """Return the work that these bytes stand for."""
        ranges, done = _WORK.decode(encoded)
        return ReaderWork(tuple(PartRange(*one) for one in ranges), done)

    def is_deterministic(self) -> bool:
        """Return True: equal work gives equal bytes."""
        return True


class PartsProvider(RestrictionProvider):
    """Gives a reader its work."""

    def initial_restriction(self, element: ReaderElement) -> ReaderWork:
        """Return all parts of the reader, of which nothing is read."""
        return ReaderWork(ranges_of({part: (position, position) for part, position in element[3]}), False)

    def create_tracker(self, restriction: ReaderWork) -> PartsTracker:
        """Return what a runner splits the work with."""
        return PartsTracker(restriction)

    def restriction_coder(self) -> WorkCoder:
        """Return the coder of what is kept."""
        return WorkCoder()

    def restriction_size(self, element: ReaderElement, restriction: ReaderWork) -> int:
        """Return a reader's share of the work: all are alike."""
        return 1

    def truncate(self, element: ReaderElement, restriction: ReaderWork) -> Any:
        """Return nothing: a runner that drains stops each reader where it is."""
        return None


def ranges_of(parts: Mapping[str, tuple[str, str]]) -> Ranges:
    """Return the first and next positions of parts in the one order that equal positions have."""
    return tuple(PartRange(part, *parts[part]) for part in sorted(parts))
