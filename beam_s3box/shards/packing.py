"""The packing rule: which segments share a shard. Pure: it sees sizes, never bytes, clocks or stores.

A shard never exceeds a limit, except by one record that is larger by itself. When the next segment does not fit, the
larger of the two becomes a shard and the other waits on.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple, Protocol

from beam_s3box.shards.limits import StreamLimits
from beam_s3box.shards.model import NOTHING, Segment, Size
from beam_s3box.sizes import KiB, MiB

BY_OBJECT_BYTES: Final = "object_bytes"
BY_RAW_BYTES: Final = "raw_bytes"
BY_RECORDS: Final = "records"
BY_BUNDLE_END: Final = "bundle_end"
BY_INPUT_END: Final = "input_end"
BY_MEMORY: Final = "memory"
BY_SECONDS: Final = "seconds"
BY_WINDOW_END: Final = "window_end"
BY_LATENESS: Final = "lateness"

REASONS: Final = (
    BY_OBJECT_BYTES,
    BY_RAW_BYTES,
    BY_RECORDS,
    BY_SECONDS,
    BY_BUNDLE_END,
    BY_INPUT_END,
    BY_WINDOW_END,
    BY_LATENESS,
    BY_MEMORY,
)
"""Why a shard was sealed: a limit was met, its bundle, the input or its window ended, its records came after the
window's end, or too much was waiting in memory."""

MAX_SEGMENT_BYTES: Final = 1 * MiB
"""Raw bytes of a segment: larger ones compress no better, and runners' state holds elements of about 1 MB well."""

_SMALL_SEGMENT_BYTES: Final = 64 * KiB
"""Raw bytes: twice deflate's window; segments below this compress visibly worse."""

_SEGMENTS_A_SHARD: Final = 4
"""At least so many segments where the limit is small, so that a shard is filled well."""

_UNLIMITED: Final = 1 << 62


class Overhead(NamedTuple):
    """What a format adds to the records of a shard.

    Attributes:
      shard: once a shard: header, opening, closing, trailer.
      separator: once a segment, at the most.
    """

    shard: Size
    separator: Size


class Capacity(NamedTuple):
    """How much of a stream's records fits a shard.

    Attributes:
      room: what the limits leave for segments.
      separator: what each segment takes beside its own size.
      segment_bytes: raw bytes at which a segment is cut, at the most half as much again: few enough to fill a shard
        well and never to exceed it, enough to compress well.
    """

    room: Size
    separator: Size
    segment_bytes: int

    @classmethod
    def of(cls, limits: StreamLimits, overhead: Overhead) -> Capacity:
        """Return what the limits leave for records, the format's overhead taken off."""
        whole = Size(limits.max_object_bytes, limits.max_raw_bytes or _UNLIMITED, limits.max_records or _UNLIMITED)
        room = whole.minus(overhead.shard)
        return cls(room, overhead.separator, _segment_bytes(room.minus(overhead.separator)))

    def cost(self, segment: Segment) -> Size:
        """Return what the segment takes in a shard, its separator included."""
        return segment.size.plus(self.separator)

    def overflow(self, size: Size) -> str | None:
        """Return the limit that the size exceeds most, or None if it fits."""
        return _exceeded(size, self.room, strictly=True)

    def full(self, size: Size) -> str | None:
        """Return the limit that the size meets, so that not even one more byte or record fits, or None."""
        return _exceeded(size, self.room, strictly=False)

    def fill(self, size: Size) -> float:
        """Return how full a shard of that size is: 1.0 is the limit that it is nearest to."""
        return max(_shares(size, self.room))


class Placement(enum.Enum):
    """What to do with the next segment."""

    APPEND = "append"
    """Append it to the buffered segments."""

    SEAL_BUFFERED = "seal what is buffered"
    """Make the buffered segments a shard, and buffer the incoming one."""

    SEAL_INCOMING = "seal what comes in"
    """Make the incoming segment a shard of its own, and keep the buffered ones."""


def decide(held: Size, added: Size, capacity: Capacity) -> tuple[Placement, str | None]:
    """Return where the next segment goes, and the limit that made it so."""
    overflow = capacity.overflow(held.plus(added))
    if held == NOTHING or overflow is None:
        return Placement.APPEND, None
    if capacity.fill(held) >= capacity.fill(added):
        return Placement.SEAL_BUFFERED, overflow
    return Placement.SEAL_INCOMING, overflow


class SealedSegments(NamedTuple):
    """Segments that make one shard, and the rule that sealed it."""

    segments: tuple[Segment, ...]
    reason: str


class SegmentBuffer(Protocol):
    """Where the segments of a pile lie: in memory, or in a runner's state."""

    def append(self, segment: Segment) -> None:
        """Put a segment behind the others."""
        ...

    def take(self) -> tuple[Segment, ...]:
        """Return all segments, in order, and hold nothing."""
        ...


class SegmentsInMemory:
    """Segments in a list."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []

    def append(self, segment: Segment) -> None:
        """Put a segment behind the others."""
        self._segments.append(segment)

    def take(self) -> tuple[Segment, ...]:
        """Return all segments, in order, and hold nothing."""
        segments, self._segments = tuple(self._segments), []
        return segments


class OpenShard:
    """Segments of one stream that wait to become a shard, with their size.

    Args:
      capacity: of a shard.
      held: where the segments lie; default: in memory.
      size: of what lies there already.
    """

    def __init__(self, capacity: Capacity, held: SegmentBuffer | None = None, size: Size = NOTHING) -> None:
        self._capacity = capacity
        self._held = held if held is not None else SegmentsInMemory()
        self.size = size

    def __bool__(self) -> bool:
        return self.size != NOTHING

    @property
    def fill(self) -> float:
        """How full a shard of these segments would be."""
        return self._capacity.fill(self.size)

    def add(self, segment: Segment) -> list[SealedSegments]:
        """Place the next segment; return the shards that this sealed."""
        added = self._capacity.cost(segment)
        move, reason = decide(self.size, added, self._capacity)
        if move is Placement.SEAL_INCOMING:
            return [SealedSegments((segment,), str(reason))]
        sealed = [self.seal(str(reason))] if move is Placement.SEAL_BUFFERED else []
        self._held.append(segment)
        self.size = self.size.plus(added)
        met = self._capacity.full(self.size)
        return [*sealed, self.seal(met)] if met else sealed

    def seal(self, reason: str) -> SealedSegments:
        """Return what is held as one shard and hold nothing."""
        return SealedSegments(self.take(), reason)

    def take(self) -> tuple[Segment, ...]:
        """Return the segments that are held and hold nothing."""
        self.size = NOTHING
        return self._held.take()


def _segment_bytes(room: Size) -> int:
    # what deflate can't compress it may grow by an eighth (level 1), the ends of its blocks not counted
    harmless = (room.object_bytes - 16) * 8 // 9
    # a limit on raw bytes is met exactly, by one segment or many; one on the object only if its segments are small
    by_object = max(harmless // _SEGMENTS_A_SHARD, min(harmless * 2 // 3, _SMALL_SEGMENT_BYTES))
    return max(1, min(MAX_SEGMENT_BYTES, by_object, room.raw_bytes))


def _exceeded(size: Size, room: Size, *, strictly: bool) -> str | None:
    shares = dict(zip((BY_OBJECT_BYTES, BY_RAW_BYTES, BY_RECORDS), _shares(size, room), strict=True))
    name = max(shares, key=shares.__getitem__)
    met = shares[name] > 1 if strictly else shares[name] >= 1
    return name if met else None


def _shares(size: Size, room: Size) -> tuple[float, float, float]:
    # the overhead may take all of a tiny limit: then any record overflows it and is a shard by itself
    return (
        size.object_bytes / max(room.object_bytes, 1),
        size.raw_bytes / max(room.raw_bytes, 1),
        size.records / max(room.records, 1),
    )
