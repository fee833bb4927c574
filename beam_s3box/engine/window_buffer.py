"""The shards of one stream and window over time: by size, by age, by the window's end, and what comes after it.

The rules alone: where segments and counts lie, and what time it is, is the caller's affair.
"""

from __future__ import annotations

from typing import NamedTuple

from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import SealedShard, Segment, Size
from beam_s3box.shards.packing import BY_LATENESS, BY_WINDOW_END, Capacity, OpenShard, SealedSegments, SegmentBuffer


class BufferState(NamedTuple):
    """What a buffer remembers beside its segments; plain values, as a runner keeps them.

    Attributes:
      object_bytes, raw_bytes, records: what the segments take in a shard.
      sequence: number of the next shard.
      ended: whether the window is over.
      origin: goes into the shards' keys; random, so that a buffer that begins anew never meets a key of an earlier one.
    """

    object_bytes: int
    raw_bytes: int
    records: int
    sequence: int
    ended: bool
    origin: str

    @classmethod
    def new(cls, origin: str, *, ended: bool = False) -> BufferState:
        """Return the state of a buffer that holds nothing."""
        return cls(0, 0, 0, 0, ended, origin)


class WindowBuffer:
    """Packs the segments of one stream and window.

    Args:
      stream: whose segments these are.
      window: its name in keys.
      state: as an earlier buffer left it.
      held: where the segments lie.
      capacity: of a shard.
    """

    def __init__(
        self, stream: Stream, window: str, state: BufferState, held: SegmentBuffer, capacity: Capacity
    ) -> None:
        self._stream = stream
        self._window = window
        self._origin = state.origin
        self._sequence = state.sequence
        self._ended = state.ended
        self._shard = OpenShard(capacity, held, Size(state.object_bytes, state.raw_bytes, state.records))

    def __bool__(self) -> bool:
        return bool(self._shard)

    @property
    def state(self) -> BufferState:
        """What to keep until the next segment or timer."""
        return BufferState(*self._shard.size, self._sequence, self._ended, self._origin)

    def add(self, segment: Segment) -> tuple[list[SealedShard], bool]:
        """Pack a segment; return the shards that this sealed, and whether a shard began whose age counts from now.

        After the window's end a segment is a shard at once: nothing would ever end the wait for others.
        """
        if self._ended:
            return [self._sealed(SealedSegments((segment,), BY_LATENESS))], False
        waited = bool(self._shard)
        sealed = self._shard.add(segment)
        # of several the last is newest; where it holds the segment itself, what waited still waits
        replaced = bool(sealed) and sealed[-1].segments[-1] is not segment
        return list(map(self._sealed, sealed)), bool(self._shard) and (not waited or replaced)

    def seal(self, reason: str) -> list[SealedShard]:
        """Return what is held as a shard; nothing if nothing is held."""
        return [self._sealed(self._shard.seal(reason))] if self._shard else []

    def end(self) -> list[SealedShard]:
        """Note that the window is over, and return what is held as its last shard on time."""
        self._ended = True
        return self.seal(BY_WINDOW_END)

    def _sealed(self, sealed: SealedSegments) -> SealedShard:
        sequence = self._sequence
        self._sequence += 1
        return SealedShard(self._stream, self._window, self._origin, sequence, sealed.reason, sealed.segments)
