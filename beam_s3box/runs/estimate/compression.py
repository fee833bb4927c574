"""How well records compress in segments of each size: small shards compress worse than large ones."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from beam_s3box.formats import Format, format_of
from beam_s3box.records.streams import Stream
from beam_s3box.shards.packing import MAX_SEGMENT_BYTES
from beam_s3box.sizes import KiB

_STREAMS: Final = 64
"""Streams some of whose lines are kept."""

_MEASURED: Final = 4
"""Of them, those with the most lines are measured."""

_FIRST_BYTES: Final = KiB
_STEP: Final = 4
"""Sizes that are measured: 1 KiB, 4 KiB, 16 KiB, …"""

_WITHOUT_LINES: Final = 0.25
"""Where nothing could be measured: JSON compresses fourfold."""


class Compression(NamedTuple):
    """Measured sizes.

    Attributes:
      raw_bytes: of segments, ascending.
      shares: of these bytes that are left after compression.
    """

    raw_bytes: tuple[float, ...] = (1.0,)
    shares: tuple[float, ...] = (_WITHOUT_LINES,)

    def share(self, raw_bytes: float) -> float:
        """Return the share that is left of a segment of so many bytes; between two measured sizes by its logarithm."""
        at = bisect.bisect_left(self.raw_bytes, raw_bytes)
        if at == 0:
            return self.shares[0]
        if at == len(self.raw_bytes):
            return self.shares[-1]
        low, high = self.raw_bytes[at - 1], self.raw_bytes[at]
        part = math.log(raw_bytes / low) / math.log(high / low)
        return self.shares[at - 1] + part * (self.shares[at] - self.shares[at - 1])


class SampledLines:
    """Keeps lines of some streams, at most `MAX_SEGMENT_BYTES` of each."""

    def __init__(self) -> None:
        self._lines: dict[Stream, list[bytes]] = {}
        self._bytes: dict[Stream, int] = {}

    def add(self, stream: Stream, lines: Sequence[bytes]) -> None:
        """Take lines of a stream, or leave them."""
        size = self._bytes.get(stream, 0)
        if size >= MAX_SEGMENT_BYTES or (not size and len(self._lines) >= _STREAMS):
            return
        kept = self._lines.setdefault(stream, [])
        for line in lines:
            kept.append(line)
            size += len(line)
            if size >= MAX_SEGMENT_BYTES:
                break
        self._bytes[stream] = size

    def measure(self, format: Format) -> Compression:
        """Return how well they compress."""
        largest = sorted(self._lines, key=lambda stream: (-self._bytes[stream], stream))[:_MEASURED]
        if not largest:
            return Compression()
        curves = [_curve(format_of(format, stream), self._lines[stream]) for stream in largest]
        return _mean(curves)


def _curve(format: Format, lines: Sequence[bytes]) -> list[tuple[float, float]]:
    """Return the sizes of segments of the first lines and the shares that are left, up to all of the lines."""
    points: list[tuple[float, float]] = []
    count, size, wanted = 0, 0, _FIRST_BYTES
    while count < len(lines):
        while count < len(lines) and size < wanted:
            size += len(lines[count])
            count += 1
        segment = format.cut(lines[:count])
        points.append((float(segment.raw_bytes), len(segment.data) / max(segment.raw_bytes, 1)))
        wanted = max(wanted, size) * _STEP
    return points


def _mean(curves: Sequence[list[tuple[float, float]]]) -> Compression:
    """Return the curve of the stream with the most lines, each of its shares the mean of all streams that have one."""
    sizes = [size for size, _ in curves[0]]
    each = [Compression(*map(tuple, zip(*points, strict=True))) for points in curves]
    shares = []
    for size in sizes:
        known = [curve.share(size) for curve in each if curve.raw_bytes[-1] >= size]
        shares.append(sum(known) / len(known))
    return Compression(tuple(sizes), tuple(shares))
