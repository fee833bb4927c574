"""Segments and shards: what is packed, how large it is, and what a finished shard is called."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from beam_s3box.records.streams import Stream


class Size(NamedTuple):
    """How much a run of records takes, in the three measures that limits are given in."""

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
"""The size of no records."""


class Segment(NamedTuple):
    """A compressed run of records of one stream, ready to be joined with others and never compressed again.

    Attributes:
      data: raw deflate data that ends on a byte boundary, without a final block.
      crc32: of the bytes before compression.
      raw_bytes: bytes before compression.
      records: number of records.
    """

    data: bytes
    crc32: int
    raw_bytes: int
    records: int

    @property
    def size(self) -> Size:
        """What the segment takes, the joints of its format not counted."""
        return Size(len(self.data), self.raw_bytes, self.records)


class SealedShard(NamedTuple):
    """The segments of one shard, cut and closed, not uploaded yet.

    Attributes:
      stream: whose records these are.
      window: the window's name in keys, "" for the global window.
      origin: who sealed it: one execution of one piece of work, by a random token.
      sequence: its number within the origin, stream and window.
      reason: which rule sealed it, one of `beam_s3box.shards.packing.REASONS`.
      segments: in the order of the records.
    """

    stream: Stream
    window: str
    origin: str
    sequence: int
    reason: str
    segments: tuple[Segment, ...]


class ShardFile(NamedTuple):
    """One shard in the store.

    Attributes:
      domain, namespace: its stream.
      window: the window's name in keys, "" for the global window.
      url: where it is, as COPY takes it.
      key: the same below the store's root.
      records: how many it holds.
      raw_bytes: bytes before compression.
      object_bytes: bytes of the object.
      sha256: of the object, hexadecimal.
      sealed_by: which rule sealed it, one of `beam_s3box.shards.packing.REASONS`.
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

    @property
    def stream(self) -> Stream:
        """The stream whose records it holds."""
        return Stream(self.domain, self.namespace)


def total_size(segments: Iterable[Segment]) -> Size:
    """Return what the segments take together, joints not counted."""
    total = NOTHING
    for segment in segments:
        total = total.plus(segment.size)
    return total


def size_of(files: Iterable[ShardFile]) -> Size:
    """Return what the shards take together."""
    total = NOTHING
    for file in files:
        total = total.plus(Size(file.object_bytes, file.raw_bytes, file.records))
    return total
