"""Records that can't be packed, together: an input may be bad altogether."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, overload

from beam_s3box.records.streams import Stream


class RejectedRecord(NamedTuple):
    """A record that can't be packed.

    Attributes:
      stream: its stream, if known.
      reason: one of `beam_s3box.records.encoding.REASONS`.
      detail: the exact problem.
      raw: the record's own bytes, or its repr if it could not be encoded.
    """

    stream: Stream | None
    reason: str
    detail: str
    raw: bytes


class RejectedRun(NamedTuple):
    """Neighbours that differ in their bytes alone.

    Attributes:
      stream, reason, detail: of all of them.
      raws: the bytes of each.
    """

    stream: Stream | None
    reason: str
    detail: str
    raws: list[bytes]


class RejectedRecords(Sequence[RejectedRecord]):
    """Records that can't be packed, kept by runs: an object for each is made only if somebody asks for it.

    Args:
      records: to begin with.

    Attributes:
      runs: all of them, in order.
    """

    def __init__(self, records: Iterable[RejectedRecord] = ()) -> None:
        self.runs: list[RejectedRun] = []
        for record in records:
            self.append(record)

    def append(self, record: RejectedRecord) -> None:
        """Add one."""
        if self.runs and self.runs[-1][:3] == record[:3]:
            self.runs[-1].raws.append(record.raw)
        else:
            self.runs.append(RejectedRun(*record[:3], [record.raw]))

    def add(self, stream: Stream | None, reason: str, detail: str, raws: Iterable[bytes]) -> None:
        """Add some that differ in their bytes alone."""
        kept = list(raws)
        if kept:
            self.runs.append(RejectedRun(stream, reason, detail, kept))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __len__(self) -> int:
        return sum(len(run.raws) for run in self.runs)

    def __iter__(self) -> Iterator[RejectedRecord]:
        return (RejectedRecord(*run[:3], raw) for run in self.runs for raw in run.raws)

    @overload
    def __getitem__(self, index: int) -> RejectedRecord: ...

    @overload
    def __getitem__(self, index: slice) -> list[RejectedRecord]: ...

    def __getitem__(self, index: int | slice) -> RejectedRecord | list[RejectedRecord]:
        return list(self)[index]
