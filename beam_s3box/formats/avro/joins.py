"""Joins Avro container files by their blocks, if their headers are equal."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

from beam_s3box.formats.avro.blocks import MARKER_BYTES
from beam_s3box.formats.joins import Body, Closing, Ends, not_ours

_MAGIC_BYTES = 4


@dataclasses.dataclass(frozen=True)
class AvroJoin:
    """Joins container files of one header.

    Attributes:
      header: the header, which ends with the sync marker.
    """

    header: bytes

    @property
    def content_type(self) -> str:
        """The MIME type of the object."""
        return "application/avro"

    @property
    def extension(self) -> str:
        """The extension of the object's key."""
        return ".avro"

    @property
    def before(self) -> bytes:
        """The header."""
        return self.header

    @property
    def between(self) -> bytes:
        """Nothing: a marker follows each block."""
        return b""

    @property
    def trailer_bytes(self) -> int:
        """Nothing follows the blocks."""
        return 0

    def body(self, ends: Ends) -> Body:
        """Return where the blocks of a file are."""
        marker = self.header[-MARKER_BYTES:]
        if not ends.tail.endswith(marker) or ends.size < len(self.header) + MARKER_BYTES:
            raise not_ours(ends.url, "it does not end with its sync marker")
        return Body(len(self.header), ends.size, 0, ends.raw_bytes or 0)

    def close(self, bodies: Sequence[Body]) -> Closing:
        """Return what comes behind these bodies: nothing."""
        return Closing(b"", sum(body.raw_bytes for body in bodies))


def avro_join_of(url: str, head: bytes) -> AvroJoin:
    """Return how a container file is joined with others that have the same schema and codec.

    Raises:
      S3BoxError: this package did not write it: its sync marker is not that of its header.
    """
    try:
        size = _header_bytes(head)
    except IndexError as exc:
        raise not_ours(url, "its header is cut off") from exc
    header = head[:size]
    fields, marker = header[:-MARKER_BYTES], header[-MARKER_BYTES:]
    if hashlib.sha256(fields).digest()[:MARKER_BYTES] != marker:
        raise not_ours(url, "its sync marker is another one")
    return AvroJoin(header)


def _header_bytes(head: bytes) -> int:
    """Return the length of a header; raises IndexError if it is longer than what is there."""
    position = _MAGIC_BYTES
    while True:
        count, position = _long(head, position)
        if not count:
            return position + MARKER_BYTES
        if count < 0:
            # a negative count is followed by the size of the block of pairs
            count = -count
            _, position = _long(head, position)
        for _ in range(2 * count):
            length, position = _long(head, position)
            # a negative one would lead back
            position += length if length >= 0 else len(head)


def _long(head: bytes, position: int) -> tuple[int, int]:
    """Return a number in Avro's encoding, and the position behind it."""
    number = shift = 0
    while True:
        byte = head[position]
        number |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), position
