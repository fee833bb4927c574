"""Segments and shards: what is packed, how large it is, and the description of a shard in the store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from beam_s3box.records.streams import Stream


class Size(NamedTuple):
    """The size of some records, in the three measures of limits."""

    object_bytes: int
    raw_bytes: int
    records: int

    def plus(self, other: Size) -> Size:
        """Return the sum, measure by measure."""
        return Size(
            self.object_bytes + other.object_bytes, self.raw_bytes + other.raw_bytes, self.records + other.records
        )

    def minus(self, other: Size) -> Size:
        """Return the difference, measure by measure."""
        return Size(
            self.object_bytes - other.object_bytes, self.raw_bytes - other.raw_bytes, self.records - other.records
        )


NOTHING = Size(0, 0, 0)
"""The size of no records at all."""


class Segment(NamedTuple):
    """Consecutive records of one stream, compressed. Segments are joined without compressing them again.

    Attributes:
      data: raw deflate data that ends on a byte boundary, without a final block.
      crc32: the CRC-32 of the bytes before compression.
      raw_bytes: bytes before compression.
      records: number of records.
    """

    data: bytes
    crc32: int
    raw_bytes: int
    records: int

    @property
    def size(self) -> Size:
        """The size of the segment, without the separators of its format."""
        return Size(len(self.data), self.raw_bytes, self.records)


class SealedShard(NamedTuple):
    """The segments of one shard, sealed but not uploaded yet.

    Attributes:
      stream: the stream of its records.
      window: the window's name in keys, "" for the global window.
      origin: a random token of the execution of the work that sealed it.
      sequence: its number within the origin, stream and window.
      reason: why it was sealed, one of `beam_s3box.shards.packing.REASONS`.
      segments: in the order of the records.
      arrived: when the first of these records came to be packed, in seconds since the epoch; 0 if unknown.
    """

    stream: Stream
    window: str
    origin: str
    sequence: int
    reason: str
    segments: tuple[Segment, ...]
    arrived: float = 0.0


class ShardFile(NamedTuple):
    """One shard in the store.

    Attributes:
      domain, namespace: its stream.
      window: the window's name in keys, "" for the global window.
      url: its URL, as COPY takes it.
      key: its key below the store's root.
      records: number of records.
      raw_bytes: bytes before compression.
      object_bytes: bytes of the object.
      sha256: the SHA-256 of the object, hexadecimal.
      sealed_by: why it was sealed, one of `beam_s3box.shards.packing.REASONS`.
      arrived: when its first record came to be packed, in seconds since the epoch; 0 if unknown, as of bounded input.
      stored: when it was in the store; 0 if unknown.
    """

    domain: str
    namespace: str
    window: str
    url: str
    key: str
    records: int
    raw_bytes: int
    object_bytes: int
    sha256: str
    sealed_by: str
    arrived: float = 0.0
    stored: float = 0.0

    @property
    def stream(self) -> Stream:
        """The stream of its records."""
        return Stream(self.domain, self.namespace)


def total_size(segments: Iterable[Segment]) -> Size:
    """Return the size of the segments together, without separators."""
    total = NOTHING
    for segment in segments:
        total = total.plus(segment.size)
    return total


def size_of(files: Iterable[ShardFile]) -> Size:
    """Return the size of the shards together."""
    total = NOTHING
    for file in files:
        total = total.plus(Size(file.object_bytes, file.raw_bytes, file.records))
    return total
