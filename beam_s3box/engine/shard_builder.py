"""Builds whole shards from the records of many streams; what is too little for a shard are remainders.

Lines are buffered by stream, compressed as segments on a few threads, and packed by the packing rule. Only the caller's
thread changes the state; the threads only compress. The order within a stream is kept. Lines that come together are
joined at once, while the processor's cache has them: thousands of lines on their own take more memory, and longer to be
joined later.
"""

from __future__ import annotations

import collections
import dataclasses
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple, TypeAlias

from beam_s3box.formats import Format, format_of
from beam_s3box.records.streams import Stream
from beam_s3box.shards.limits import StreamLimits
from beam_s3box.shards.model import NOTHING, SealedShard, Segment, Size
from beam_s3box.shards.packing import BY_BUNDLE_END, BY_MEMORY, BY_OBJECT_BYTES, Capacity, OpenShard, SealedSegments
from beam_s3box.sizes import LINE_COST, MiB
from beam_s3box.system.heap import give_back
from beam_s3box.system.threads import Executor, Pending

Key: TypeAlias = tuple[Stream, str, int]
"""A stream, the name of a window, and a lane; every key has its own shards."""

DEFAULT_BUDGET_BYTES = 128 * MiB
"""Bytes of memory that one builder may hold: leaves room for Beam and the uploads on a worker of 1 GB."""

_MAX_COMPRESSING_BYTES = 16 * MiB
"""Raw bytes that are compressed at the same time: enough to keep every thread busy."""

_STREAM_COST = 1_024
"""Bytes of memory that an open stream takes besides its lines and segments; measured: 900 to 1,200."""

_LINE_BREAK = b"\n"

DEFAULT_MIN_FILL = 0.5
"""A remainder that fills this much of a shard becomes one: two of them would not fit one shard anyway."""


class Flushed(NamedTuple):
    """The output of a builder: shards to upload, and remainders that others may pack further."""

    shards: list[SealedShard]
    remainders: list[tuple[Key, Segment]]


_NOTHING_FLUSHED = Flushed([], [])


@dataclasses.dataclass(slots=True, eq=False)
class _Buffer:
    """The lines and segments of one stream and window that are not sealed yet.

    Attributes:
      key, format, capacity, shard: of the stream.
      pieces: lines, or several joined.
      records: how many lines these are.
      raw_bytes: of these.
      planned: raw bytes and records of the open shard, including segments that are still being compressed.
    """

    key: Key
    format: Format
    capacity: Capacity
    shard: OpenShard
    pieces: list[bytes] = dataclasses.field(default_factory=list)
    records: int = 0
    raw_bytes: int = 0
    planned: Size = NOTHING

    @property
    def waiting_bytes(self) -> int:
        """Bytes of memory of the lines."""
        return self.raw_bytes + LINE_COST * len(self.pieces)

    @property
    def held_bytes(self) -> int:
        """Bytes of memory of all."""
        return _STREAM_COST + self.waiting_bytes + self.shard.size.object_bytes

    def take(self, lines: Sequence[bytes], raw_bytes: int) -> int:
        """Add lines; return the bytes of memory that they take."""
        before, between = len(self.pieces), self.format.between
        if between is not None and len(lines) > 1:
            self.pieces.append(between.join(lines))
        else:
            self.pieces += lines
        self.records += len(lines)
        self.raw_bytes += raw_bytes
        return raw_bytes + LINE_COST * (len(self.pieces) - before)

    def take_text(self, text: bytes, records: int) -> int:
        """Add lines with `between` between them; return the bytes of memory that they take."""
        self.pieces.append(text)
        self.records += records
        self.raw_bytes += len(text) + self.format.record_overhead
        return len(text) + self.format.record_overhead + LINE_COST

    def room(self) -> Size:
        """Return the maximum size of the next segment; the last one of a shard takes all that is left."""
        left = self.capacity.room.minus(self.planned)
        usual = self.capacity.segment_bytes
        return Size(0, left.raw_bytes if 2 * left.raw_bytes < 3 * usual else usual, left.records)


class ShardBuilder:
    """Buffers records by stream and builds shards from them.

    Args:
      format: the format of the shards.
      limits_of: returns the limits of a stream.
      codec: the executor of the compression.
      origin: a part of the shards' keys; unique to this builder.
      budget: bytes of memory, for raw and compressed data and the cost of each open stream. Beyond it the largest
        streams are flushed early.
      min_fill_to_seal: `finish` seals a remainder that fills at least this much of a shard, and returns the others as
        they are. More than 1 seals none. 0 seals all, and also what exceeds the budget, as nobody else would pack it.
    """

    def __init__(
        self,
        format: Format,
        limits_of: Callable[[Stream], StreamLimits],
        codec: Executor,
        origin: str,
        budget: int = DEFAULT_BUDGET_BYTES,
        *,
        min_fill_to_seal: float = DEFAULT_MIN_FILL,
    ) -> None:
        self._format = format
        self._limits_of = limits_of
        self._codec = codec
        self._origin = origin
        self._budget = budget
        self._min_fill_to_seal = min_fill_to_seal
        self._buffers: dict[Key, _Buffer] = {}
        self._compressing: collections.deque[tuple[_Buffer, Pending[Segment], int]] = collections.deque()
        self._compressing_bytes = 0
        self._held_bytes = 0
        self._sequence = 0
        self._out = Flushed([], [])

    def add(self, key: Key, lines: Sequence[bytes]) -> None:
        """Add records of one stream and window, as lines of JSON without line breaks."""
        buffer = self._buffers.get(key) or self._open(key)
        raw_bytes = sum(map(len, lines)) + buffer.format.record_overhead * len(lines)
        room = buffer.room()
        if buffer.raw_bytes + raw_bytes <= room.raw_bytes and buffer.records + len(lines) <= room.records:
            self._held_bytes += buffer.take(lines, raw_bytes)
        else:
            self._add_in_parts(buffer, lines)
        self._keep_budget()

    def add_text(self, key: Key, text: bytes, records: int) -> None:
        """Add records of one stream and window that are one text, with line breaks between them and none at the end.

        Args:
          key: of the records.
          text: at least one line of JSON.
          records: how many lines these are.
        """
        buffer = self._buffers.get(key) or self._open(key)
        if buffer.format.between != _LINE_BREAK:
            self.add(key, text.split(_LINE_BREAK))
            return
        while text:
            piece, count = _fitting(text, records, buffer)
            if count:
                self._held_bytes += buffer.take_text(piece, count)
                text = text[len(piece) + 1 :]
            else:
                line, _, text = text.partition(_LINE_BREAK)
                count = 1
                self._add_in_parts(buffer, (line,))
            records -= count
        self._keep_budget()

    @property
    def open_bytes(self) -> int:
        """Bytes of memory of the lines that wait to be compressed."""
        return sum(buffer.waiting_bytes for buffer in self._buffers.values())

    def cut(self) -> None:
        """Start to compress all lines."""
        for buffer in self._buffers.values():
            self._cut(buffer)

    def poll(self) -> Flushed:
        """Return the shards and remainders that are ready, without waiting."""
        while self._compressing and self._compressing[0][1].done():
            self._collect_segment()
        return self._drain_output()

    def finish(self, min_fill_to_seal: float | None = None) -> Flushed:
        """Return everything that is left; the builder is empty afterwards.

        Args:
          min_fill_to_seal: this time; default: the builder's.
        """
        min_fill = self._min_fill_to_seal if min_fill_to_seal is None else min_fill_to_seal
        self.cut()
        self._collect_all()
        for buffer in self._buffers.values():
            if buffer.shard and buffer.shard.fill >= min_fill:
                self._seal(buffer.key, buffer.shard.seal(BY_BUNDLE_END))
            else:
                self._flush_remainder(buffer)
        self._buffers.clear()
        self._held_bytes = 0
        return self._drain_output()

    def _open(self, key: Key) -> _Buffer:
        format = format_of(self._format, key[0])
        capacity = Capacity.of(self._limits_of(key[0]), format.overhead)
        buffer = self._buffers[key] = _Buffer(key, format, capacity, OpenShard(capacity))
        self._held_bytes += _STREAM_COST
        return buffer

    def _add_in_parts(self, buffer: _Buffer, lines: Sequence[bytes]) -> None:
        """Add lines that do not fit the next segment: as many as fit, then the segment is cut, until none are left."""
        overhead, start, done = buffer.format.record_overhead, 0, 0
        ends = list(accumulate(len(line) + overhead for line in lines))
        while start < len(lines):
            room = buffer.room() if buffer.records else self._room_for(buffer, ends[start] - done)
            stop = bisect_right(ends, done + room.raw_bytes - buffer.raw_bytes, start)
            stop = min(stop, start + room.records - buffer.records)
            if not buffer.records:
                stop = max(stop, start + 1)  # a record that exceeds a limit is a segment of its own
            if stop > start:
                self._held_bytes += buffer.take(lines[start:stop], ends[stop - 1] - done)
                start, done = stop, ends[stop - 1]
            if start < len(lines):
                self._cut(buffer)

    @staticmethod
    def _room_for(buffer: _Buffer, raw_bytes: int) -> Size:
        """Return the room for the next segment; if its first record does not fit, start a new shard."""
        room = buffer.room()
        if raw_bytes > room.raw_bytes or room.records < 1:
            buffer.planned = NOTHING
            room = buffer.room()
        return room

    def _cut(self, buffer: _Buffer) -> None:
        """Compress the lines of a stream as one segment, on another thread."""
        if not buffer.records:
            return
        pieces, records, raw_bytes = buffer.pieces, buffer.records, buffer.raw_bytes
        self._held_bytes -= buffer.waiting_bytes
        buffer.pieces, buffer.records, buffer.raw_bytes = [], 0, 0
        buffer.planned = buffer.planned.plus(Size(0, raw_bytes, records).plus(buffer.capacity.separator))
        self._compressing.append((buffer, self._codec.submit(buffer.format.cut, pieces, records), raw_bytes))
        self._compressing_bytes += raw_bytes
        while self._compressing_bytes > _MAX_COMPRESSING_BYTES and len(self._compressing) > 1:
            self._collect_segment()

    def _collect_segment(self) -> None:
        """Wait for the oldest segment that is being compressed, and pack it."""
        buffer, future, raw_bytes = self._compressing.popleft()
        segment = future.result()
        self._compressing_bytes -= raw_bytes
        before = buffer.shard.size.object_bytes
        for sealed in buffer.shard.add(segment):
            self._seal(buffer.key, sealed)
            if sealed.reason == BY_OBJECT_BYTES:
                buffer.planned = buffer.shard.size
        self._held_bytes += buffer.shard.size.object_bytes - before

    def _collect_all(self) -> None:
        while self._compressing:
            self._collect_segment()
        if self._held_bytes > self._budget // 2:
            give_back()

    def _seal(self, key: Key, sealed: SealedSegments) -> None:
        stream, window, _ = key
        # one sequence for all streams, so that a stream that was flushed and comes back never repeats a key
        shard = SealedShard(stream, window, self._origin, self._sequence, sealed.reason, sealed.segments)
        self._sequence += 1
        self._out.shards.append(shard)

    def _flush_remainder(self, buffer: _Buffer) -> None:
        self._out.remainders.extend((buffer.key, segment) for segment in buffer.shard.take())

    def _keep_budget(self) -> None:
        if self._held_bytes + self._compressing_bytes > self._budget:
            self._evict_largest()

    def _evict_largest(self) -> None:
        """Compress all lines, then flush or seal the largest streams until half of the budget is free."""
        self.cut()
        self._collect_all()
        for buffer in sorted(self._buffers.values(), key=lambda buffer: -buffer.shard.size.object_bytes):
            if self._held_bytes <= self._budget // 2:
                break
            self._held_bytes -= buffer.held_bytes
            if self._min_fill_to_seal > 0:
                self._flush_remainder(buffer)
            elif buffer.shard:
                self._seal(buffer.key, buffer.shard.seal(BY_MEMORY))
            del self._buffers[buffer.key]

    def _drain_output(self) -> Flushed:
        if not self._out.shards and not self._out.remainders:
            return _NOTHING_FLUSHED  # called after each record, and nearly always the result
        given, self._out = self._out, Flushed([], [])
        return given


def _fitting(text: bytes, records: int, buffer: _Buffer) -> tuple[bytes, int]:
    """Return as much of a text as fits the next segment of a buffer, and how many records that is; 0 if none does."""
    room = buffer.room()
    most_bytes, most_records = max(room.raw_bytes - buffer.raw_bytes, 0), max(room.records - buffer.records, 0)
    if len(text) >= most_bytes:
        # the line break behind a line counts as well
        text = text[: max(text.rfind(_LINE_BREAK, 0, most_bytes), 0)]
        records = text.count(_LINE_BREAK) + 1 if text else 0
    if records > most_records:
        lines = text.split(_LINE_BREAK, most_records)[:most_records]
        return _LINE_BREAK.join(lines), len(lines)
    return text, records
