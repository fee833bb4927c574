"""Lists of shards in parts that are small enough for any runner: what a manifest says of a shard, and no more.

A million rows of ShardFile are one element of 259 MiB where a list is an element; runners take 80 MB or less. As parts
they are some 40 MB in all, none of them more than a megabyte.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec
from zlib_ng import zlib_ng

from beam_s3box.shards import ShardFile

PART_SHARDS = 10_000
"""Shards in a part: with the longest keys there are, 1,024 bytes each that no compression helps, 10 MB."""


class Listed(NamedTuple):
    """What a manifest says of a shard.

    Attributes:
      key: below the store's root.
      records, raw_bytes, object_bytes: as in ShardFile.
    """

    key: str
    records: int
    raw_bytes: int
    object_bytes: int


_decode = msgspec.msgpack.Decoder(list[Listed]).decode


def pack_shards(files: Iterable[ShardFile], part_shards: int = PART_SHARDS) -> Iterator[bytes]:
    """Yield the list in parts, in order; reads no further than a part ahead.

    Args:
      files: any number of them; those in a row compress best sorted by key.
      part_shards: shards in a part.
    """
    rows = (Listed(file.key, file.records, file.raw_bytes, file.object_bytes) for file in files)
    while part := list(itertools.islice(rows, part_shards)):
        yield zlib_ng.compress(msgspec.msgpack.encode(part), 1)


def unpack_shards(parts: Iterable[bytes]) -> Iterator[Listed]:
    """Yield the shards of the parts, in order."""
    for part in parts:
        yield from _decode(zlib_ng.decompress(part))
