"""Compares multisets of records by sums of hashes, in memory that does not grow with them.

The hash of each record is added to one of 65,536 buckets, chosen by the hash. Two multisets whose sums and counts are
equal in all buckets are equal, but for a chance of 1 in 2**64: hashes are keyed by a secret of the process. Where a
bucket differs, a second pass looks at the records of that bucket alone.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

_BUCKET_BITS: Final = 16
_BUCKETS: Final = 1 << _BUCKET_BITS
_SHIFT: Final = np.uint64(64 - _BUCKET_BITS)

MAX_HELD: Final = 200_000
"""Records that a second pass may hold."""

_SAMPLE_BYTES: Final = 300
"""Of a record that is shown."""


class Sums:
    """The sums of one multiset. Safe for use by many threads."""

    def __init__(self) -> None:
        self._sums = np.zeros(_BUCKETS, np.uint64)
        self._counts = np.zeros(_BUCKETS, np.int64)
        self._lock = threading.Lock()

    @property
    def records(self) -> int:
        """How many records were added."""
        return int(self._counts.sum())

    def add(self, records: Sequence[bytes], group: str = "", where: str = "") -> None:
        """Add records; equal ones of different groups, such as streams, are different. Where they are is not kept."""
        hashes = hashes_of(records, group)
        buckets = hashes >> _SHIFT
        counts = np.bincount(buckets.astype(np.int64), minlength=_BUCKETS)
        with self._lock:
            np.add.at(self._sums, buckets, hashes)
            self._counts += counts

    def differing(self, other: Sums) -> Buckets:
        """Return the buckets in which two multisets differ, as many as a second pass may hold."""
        differ = np.flatnonzero((self._sums != other._sums) | (self._counts != other._counts))
        sizes = np.maximum(self._counts[differ], other._counts[differ])
        held = max(1, int(np.searchsorted(np.cumsum(sizes), MAX_HELD, side="right")))
        return Buckets(differ[:held], len(differ))


class Buckets(NamedTuple):
    """Buckets that a second pass looks at.

    Attributes:
      numbers: of these.
      all: how many differ.
    """

    numbers: npt.NDArray[np.int64]
    all: int

    @property
    def are_equal(self) -> bool:
        """Whether the multisets are equal."""
        return not self.all


@dataclasses.dataclass(slots=True)
class Difference:
    """A record that one multiset has more often than the other.

    Attributes:
      record: the record, cut off if it is long.
      group: its group.
      where: where one of them was met.
      times: how much more often the first multiset has it; negative where the second one does.
      is_in_first: whether the first multiset has it at all.
    """

    record: bytes
    group: str
    where: str
    times: int = 0
    is_in_first: bool = False


class Balance:
    """What two multisets hold in some buckets, record by record. Safe for use by many threads.

    Args:
      buckets: to look at.
    """

    def __init__(self, buckets: Buckets) -> None:
        self._wanted = np.zeros(_BUCKETS, np.bool_)
        self._wanted[buckets.numbers] = True
        self._held: dict[int, Difference] = {}
        self._lock = threading.Lock()

    def add_first(self, records: Sequence[bytes], group: str = "", where: str = "") -> None:
        """Add records of the first multiset."""
        for known in self._known(records, group, where):
            known.times += 1
            known.is_in_first = True

    def add_second(self, records: Sequence[bytes], group: str = "", where: str = "") -> None:
        """Add records of the second multiset."""
        for known in self._known(records, group, where):
            known.times -= 1

    def differences(self) -> list[Difference]:
        """Return the records that differ, those that the first multiset has more often first."""
        found = [known for known in self._held.values() if known.times]
        return sorted(found, key=lambda one: (one.times < 0, one.where, one.record))

    def _known(self, records: Sequence[bytes], group: str, where: str) -> Iterator[Difference]:
        hashes = hashes_of(records, group)
        for index in np.flatnonzero(self._wanted[hashes >> _SHIFT]).tolist():
            key = int(hashes[index])
            with self._lock:
                known = self._held.get(key)
                if known is None:
                    known = self._held[key] = Difference(records[index][:_SAMPLE_BYTES], group, where)
                yield known


def hashes_of(records: Sequence[bytes], group: str) -> npt.NDArray[np.uint64]:
    """Return the hashes of records, equal only for equal records of the same group."""
    hashes = np.fromiter(map(hash, records), np.int64, len(records)).view(np.uint64)
    hashes ^= np.uint64(hash(group) & 0xFFFF_FFFF_FFFF_FFFF)
    # without it, records that two groups exchange would change no sum
    hashes ^= hashes >> np.uint64(30)
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    hashes ^= hashes >> np.uint64(27)
    hashes *= np.uint64(0x94D049BB133111EB)
    hashes ^= hashes >> np.uint64(31)
    return hashes


def lines_of(text: bytes) -> list[bytes]:
    """Return whole lines without their line breaks."""
    lines = text.split(b"\n")
    lines.pop()
    return lines
