"""The shards of one stream and window over time: sealed by size, by age, and at and after the end of the window.

These are the rules only: the caller stores the segments and the state, and knows the time.
"""

from __future__ import annotations

from typing import NamedTuple

from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import SealedShard, Segment, Size
from beam_s3box.shards.packing import BY_LATENESS, BY_WINDOW_END, Capacity, OpenShard, SealedSegments, SegmentBuffer


class BufferState(NamedTuple):
    """The state of a buffer besides its segments; plain values, which a runner can store.

    Attributes:
      object_bytes, raw_bytes, records: the size of the segments in a shard.
      sequence: the number of the next shard.
      ended: whether the window has ended.
      origin: a part of the shards' keys; random, so that a new buffer never repeats a key of an earlier one.
    """

    object_bytes: int
    raw_bytes: int
    records: int
    sequence: int
    ended: bool
    origin: str

    @classmethod
    def new(cls, origin: str, *, ended: bool = False) -> BufferState:
        """Return the state of an empty buffer."""
        return cls(0, 0, 0, 0, ended, origin)


class WindowBuffer:
    """Packs the segments of one stream and window.

    Args:
      stream: the stream of the segments.
      window: the window's name in keys.
      state: the state that an earlier buffer left.
      buffer: the storage of the segments.
      capacity: the capacity of a shard.
    """

    def __init__(
        self, stream: Stream, window: str, state: BufferState, buffer: SegmentBuffer, capacity: Capacity
    ) -> None:
        self._stream = stream
        self._window = window
        self._origin = state.origin
        self._sequence = state.sequence
        self._ended = state.ended
        self._shard = OpenShard(capacity, buffer, Size(state.object_bytes, state.raw_bytes, state.records))

    def __bool__(self) -> bool:
        return bool(self._shard)

    @property
    def state(self) -> BufferState:
        """The state to store until the next segment or timer."""
        return BufferState(*self._shard.size, self._sequence, self._ended, self._origin)

    def add(self, segment: Segment) -> tuple[list[SealedShard], bool]:
        """Pack a segment; return the shards that this seals, and whether a shard was opened whose age counts from now.

        After the end of the window each segment becomes a shard immediately, as no timer would seal it later.
        """
        if self._ended:
            return [self._sealed(SealedSegments((segment,), BY_LATENESS))], False
        waited = bool(self._shard)
        sealed = self._shard.add(segment)
        # the last one is the newest; if it has the new segment, the older segments are still in the buffer
        replaced = bool(sealed) and sealed[-1].segments[-1] is not segment
        return list(map(self._sealed, sealed)), bool(self._shard) and (not waited or replaced)

    def seal(self, reason: str) -> list[SealedShard]:
        """Return the buffered segments as a shard; nothing if the buffer is empty."""
        return [self._sealed(self._shard.seal(reason))] if self._shard else []

    def end(self) -> list[SealedShard]:
        """Note that the window has ended, and return the buffered segments as its last shard that is on time."""
        self._ended = True
        return self.seal(BY_WINDOW_END)

    def _sealed(self, sealed: SealedSegments) -> SealedShard:
        sequence = self._sequence
        self._sequence += 1
        return SealedShard(self._stream, self._window, self._origin, sequence, sealed.reason, sealed.segments)
