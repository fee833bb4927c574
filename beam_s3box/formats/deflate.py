"""Single-member gzip files made of segments that were compressed independently.

A segment is raw deflate data that a full flush ends on a byte boundary. After a fixed header, and followed by a final
empty block, the combined CRC32 and the length, any sequence of segments is one ordinary gzip member: RFC 1951 allows
any number of blocks, and after a full flush no block refers to an earlier one.
"""

from __future__ import annotations

from collections.abc import Iterable

from zlib_ng import zlib_ng

from beam_s3box.shards.model import Segment

LEVEL = 4
"""Compression level: on JSON 2.2 times as fast as zlib's 6 for 7 % more bytes."""

HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""The gzip header, without name, time or system: equal records give equal bytes."""

FINAL_BLOCK = b"\x03\x00"
"""An empty block, the last one of a member."""

TRAILER_BYTES = len(FINAL_BLOCK) + 8
"""Bytes after the last segment: an empty final block, CRC32, length modulo 2**32."""

_RAW_DEFLATE_WINDOW = -15


def compress(raw: bytes, records: int, level: int = LEVEL) -> Segment:
    """Return the bytes as a segment. It releases the GIL while it compresses."""
    compressor = zlib_ng.compressobj(level, zlib_ng.DEFLATED, _RAW_DEFLATE_WINDOW)
    data = compressor.compress(raw) + compressor.flush(zlib_ng.Z_FULL_FLUSH)
    return Segment(data, zlib_ng.crc32(raw), len(raw), records)


def store(raw: bytes) -> Segment:
    """Return up to 65,535 bytes as a segment without compression, for separators between segments."""
    if not raw:
        return Segment(b"", 0, 0, 0)
    length = len(raw)
    data = b"\x00" + length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little") + raw
    return Segment(data, zlib_ng.crc32(raw), length, 0)


def join(segments: Iterable[Segment]) -> bytes:
    """Return the segments, in order, as one gzip member."""
    pieces, crc32, length = [HEADER], 0, 0
    for data, segment_crc32, raw_bytes, _ in segments:
        pieces.append(data)
        crc32 = zlib_ng.crc32_combine(crc32, segment_crc32, raw_bytes)
        length += raw_bytes
    pieces.append(trailer(crc32, length))
    return b"".join(pieces)


def trailer(crc32: int, raw_bytes: int) -> bytes:
    """Return what follows the last segment, given the CRC-32 and the length of all bytes before compression."""
    return FINAL_BLOCK + crc32.to_bytes(4, "little") + (raw_bytes & 0xFFFFFFFF).to_bytes(4, "little")
