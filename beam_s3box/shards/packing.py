"""The packing rule: which segments share a shard. It knows sizes only, not bytes, clocks or stores.

A shard never exceeds a limit, unless a single record does. When the next segment does not fit, the larger of the two
becomes a shard and the other one stays in the buffer.
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
"""Why a shard was sealed: it reached a limit; its bundle, the input or its window ended; its records came after the end
of the window; or too much was buffered in memory."""

MAX_SEGMENT_BYTES: Final = 1 * MiB
"""Raw bytes of a segment: larger ones do not compress better, and runners handle state elements of about 1 MB well."""

_SMALL_SEGMENT_BYTES: Final = 64 * KiB
"""Raw bytes: twice the window of deflate; smaller segments compress noticeably worse."""

_SEGMENTS_A_SHARD: Final = 4
"""Minimum number of segments of a shard with a small limit, so that it is filled well."""

_UNLIMITED: Final = 1 << 62


class Overhead(NamedTuple):
    """What a format adds to the records of a shard.

    Attributes:
      shard: added once per shard: header, opening, closing, trailer.
      separator: added at most once per segment.
    """

    shard: Size
    separator: Size


class Capacity(NamedTuple):
    """How many records of a stream fit in a shard.

    Attributes:
      room: the size that the limits leave for segments.
      separator: the size that each segment takes in addition to its own.
      segment_bytes: raw bytes at which a segment is cut, or up to half as many again: few enough to fill a shard well
        without exceeding it, and enough to compress well.
    """

    room: Size
    separator: Size
    segment_bytes: int

    @classmethod
    def of(cls, limits: StreamLimits, overhead: Overhead) -> Capacity:
        """Return the capacity that the limits leave, less the format's overhead."""
        whole = Size(limits.max_object_bytes, limits.max_raw_bytes or _UNLIMITED, limits.max_records or _UNLIMITED)
        room = whole.minus(overhead.shard)
        return cls(room, overhead.separator, _segment_bytes(room.minus(overhead.separator)))

    def cost(self, segment: Segment) -> Size:
        """Return the size of the segment in a shard, including its separator."""
        return segment.size.plus(self.separator)

    def overflow(self, size: Size) -> str | None:
        """Return the limit that the size exceeds most, or None if it fits."""
        return _exceeded(size, self.room, strictly=True)

    def full(self, size: Size) -> str | None:
        """Return the limit that the size reaches, so that not one more byte or record fits, or None."""
        return _exceeded(size, self.room, strictly=False)

    def fill(self, size: Size) -> float:
        """Return how full a shard of that size is: 1.0 if it reaches any limit."""
        return max(_shares(size, self.room))


class Placement(enum.Enum):
    """What to do with the next segment."""

    APPEND = "append"
    """Append it to the buffered segments."""

    SEAL_BUFFERED = "seal the buffered segments"
    """Make the buffered segments a shard, and buffer the incoming one."""

    SEAL_INCOMING = "seal the incoming segment"
    """Make the incoming segment a shard of its own, and keep the buffered ones."""


def decide(buffered: Size, incoming: Size, capacity: Capacity) -> tuple[Placement, str | None]:
    """Return what to do with the incoming segment, and the limit that is the reason.

    Args:
      buffered: the size of the open shard.
      incoming: the size of the next segment.
      capacity: the capacity of a shard.
    """
    overflow = capacity.overflow(buffered.plus(incoming))
    if buffered == NOTHING or overflow is None:
        return Placement.APPEND, None
    if capacity.fill(buffered) >= capacity.fill(incoming):
        return Placement.SEAL_BUFFERED, overflow
    return Placement.SEAL_INCOMING, overflow


class SealedSegments(NamedTuple):
    """The segments of one shard, and why it was sealed."""

    segments: tuple[Segment, ...]
    reason: str


class SegmentBuffer(Protocol):
    """The storage of an open shard's segments: in memory, or in a runner's state."""

    def append(self, segment: Segment) -> None:
        """Append a segment."""
        ...

    def take(self) -> tuple[Segment, ...]:
        """Return all segments, in order, and clear the buffer."""
        ...


class SegmentsInMemory:
    """Segments in a list."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []

    def append(self, segment: Segment) -> None:
        """Append a segment."""
        self._segments.append(segment)

    def take(self) -> tuple[Segment, ...]:
        """Return all segments, in order, and clear the buffer."""
        segments, self._segments = tuple(self._segments), []
        return segments


class OpenShard:
    """The buffered segments of one stream that will become a shard, and their size.

    Args:
      capacity: the capacity of a shard.
      buffer: the storage of the segments; default: in memory.
      size: the size of the segments that are in the buffer already.
    """

    def __init__(self, capacity: Capacity, buffer: SegmentBuffer | None = None, size: Size = NOTHING) -> None:
        self._capacity = capacity
        self._buffer = buffer if buffer is not None else SegmentsInMemory()
        self.size = size

    def __bool__(self) -> bool:
        return self.size != NOTHING

    @property
    def fill(self) -> float:
        """How full a shard of these segments would be: 1.0 if it reaches any limit."""
        return self._capacity.fill(self.size)

    def add(self, segment: Segment) -> list[SealedSegments]:
        """Add the next segment; return the shards that this seals."""
        added = self._capacity.cost(segment)
        placement, reason = decide(self.size, added, self._capacity)
        if placement is Placement.SEAL_INCOMING:
            return [SealedSegments((segment,), str(reason))]
        sealed = [self.seal(str(reason))] if placement is Placement.SEAL_BUFFERED else []
        self._buffer.append(segment)
        self.size = self.size.plus(added)
        met = self._capacity.full(self.size)
        return [*sealed, self.seal(met)] if met else sealed

    def seal(self, reason: str) -> SealedSegments:
        """Return the buffered segments as one shard, and clear the buffer."""
        return SealedSegments(self.take(), reason)

    def take(self) -> tuple[Segment, ...]:
        """Return the buffered segments, and clear the buffer."""
        self.size = NOTHING
        return self._buffer.take()


def _segment_bytes(room: Size) -> int:
    # deflate may make data that it can't compress larger by an eighth (level 1), not counting the ends of its blocks
    harmless = (room.object_bytes - 16) * 8 // 9
    # a limit on raw bytes is reached exactly with any segments; a limit on the object only with small ones
    by_object = max(harmless // _SEGMENTS_A_SHARD, min(harmless * 2 // 3, _SMALL_SEGMENT_BYTES))
    return max(1, min(MAX_SEGMENT_BYTES, by_object, room.raw_bytes))


def _exceeded(size: Size, room: Size, *, strictly: bool) -> str | None:
    shares = dict(zip((BY_OBJECT_BYTES, BY_RAW_BYTES, BY_RECORDS), _shares(size, room), strict=True))
    name = max(shares, key=shares.__getitem__)
    met = shares[name] > 1 if strictly else shares[name] >= 1
    return name if met else None


def _shares(size: Size, room: Size) -> tuple[float, float, float]:
    # the overhead may exceed a tiny limit: then any record overflows it and is a shard of its own
    return (
        size.object_bytes / max(room.object_bytes, 1),
        size.raw_bytes / max(room.raw_bytes, 1),
        size.records / max(room.records, 1),
    )
