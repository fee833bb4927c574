"""Which events were received of late, in a few bytes each: an event that is delivered again is read once."""

from __future__ import annotations

import bisect
from typing import Final, NamedTuple, TypeAlias

from beam_s3box.jobs.options.windows import MICROS

MARK_BYTES: Final = 12
"""So many that two events never share a mark: an event whose mark is known is not read."""

KEPT: Final = 3600 * MICROS
"""So long an event is remembered, by the time of looking: while the job stands still, nothing is forgotten."""

_BLOCK: Final = 300 * MICROS
"""Events of so long are forgotten together."""

_LONGEST_LOOK: Final = 60 * MICROS
"""If more has passed between two looks, the job stood still meanwhile."""

Block: TypeAlias = tuple[int, bytes]
"""When it began, by the time of looking, and the marks of its events, joined."""


class EventMemory(NamedTuple):
    """What is known of events; plain values, as a runner keeps them from one bundle to the next.

    Attributes:
      at: when the last look was, in microseconds since 1970; never before that of an earlier look.
      looked: for how long the job has been looking, in microseconds.
      blocks: the events, oldest first.
    """

    at: int
    looked: int = 0
    blocks: tuple[Block, ...] = ()


class KnownEvents:
    """The same to ask and to add to. For one thread.

    Args:
      memory: what is known so far.
    """

    def __init__(self, memory: EventMemory) -> None:
        self.memory = memory
        self._marks = {mark for _, marks in memory.blocks for mark in _split(marks)}

    def look(self, now: int) -> None:
        """Note that a look begins, in microseconds since 1970, and forget what is old."""
        at, looked, blocks = self.memory
        looked += min(max(0, now - at), _LONGEST_LOOK)
        # whole blocks whose youngest event is old enough
        old = bisect.bisect_right(blocks, looked - KEPT - _BLOCK, key=lambda block: block[0])
        for _, marks in blocks[:old]:
            self._marks.difference_update(_split(marks))
        self.memory = EventMemory(max(at, now), looked, blocks[old:])

    def add(self, marks: list[bytes]) -> list[bool]:
        """Return for each event whether it is new, and remember all."""
        is_new = []
        for mark in marks:
            is_new.append(mark not in self._marks)
            self._marks.add(mark)
        added = b"".join(mark for mark, new in zip(marks, is_new, strict=True) if new)
        if added:
            self._append(added)
        return is_new

    def _append(self, added: bytes) -> None:
        looked, blocks = self.memory.looked, self.memory.blocks
        if blocks and looked - blocks[-1][0] < _BLOCK:
            begun, marks = blocks[-1]
            blocks = (*blocks[:-1], (begun, marks + added))
        else:
            blocks = (*blocks, (looked, added))
        self.memory = self.memory._replace(blocks=blocks)


def _split(marks: bytes) -> list[bytes]:
    return [marks[start : start + MARK_BYTES] for start in range(0, len(marks), MARK_BYTES)]
