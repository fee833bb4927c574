"""Joins finished shards without decompressing them: what lies between an object's header and its trailer is its body.

Only what this package wrote is joined. The bodies of gzip files of others may end within a byte, and may consist of
several members.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from zlib_ng import zlib_ng

from beam_s3box.errors import S3BoxError
from beam_s3box.formats import deflate
from beam_s3box.formats.json_text import JSON_ARRAY, JSON_LINES, JsonText
from beam_s3box.shards.model import Segment

TAIL_BYTES: Final = 64
"""Bytes at the end of an object that show its trailer."""

_SHIFTS: Final = 2**32 - 1
"""A CRC-32 that is shifted by this many bytes is the same again, so shifting by fewer undoes a shift."""

_DEFLATE_RATIO: Final = 1032
"""The most that deflate can save: a smaller object has less than 4 GiB before compression."""

_FLUSHED: Final = b"\x00\x00\xff\xff"
"""The end of a segment: the empty block of a full flush."""


class Ends(NamedTuple):
    """What of an object must be known to find its body.

    Attributes:
      url: its URL, for errors.
      tail: its last bytes, `TAIL_BYTES` or all.
      size: the size of the object in bytes.
      raw_bytes: bytes before compression; None if it is unknown.
    """

    url: str
    tail: bytes
    size: int
    raw_bytes: int | None


class Body(NamedTuple):
    """The part of an object that is kept when objects are joined.

    Attributes:
      start, stop: the first byte, and the one behind the last.
      crc32: the CRC-32 of the bytes before compression; 0 for formats without one.
      raw_bytes: bytes before compression.
    """

    start: int
    stop: int
    crc32: int
    raw_bytes: int


class Closing(NamedTuple):
    """The end of a joined object.

    Attributes:
      after: the bytes behind the last body.
      raw_bytes: bytes of the whole object before compression.
    """

    after: bytes
    raw_bytes: int


class Join(Protocol):
    """A way to join objects; two objects can be joined if theirs are equal. Implementations are immutable."""

    @property
    def content_type(self) -> str:
        """The MIME type of the object."""
        ...

    @property
    def extension(self) -> str:
        """The extension of the object's key."""
        ...

    @property
    def before(self) -> bytes:
        """The bytes in front of the first body; each of the objects begins with them."""
        ...

    @property
    def between(self) -> bytes:
        """The bytes between two bodies."""
        ...

    @property
    def trailer_bytes(self) -> int:
        """The number of bytes behind an object's body."""
        ...

    def body(self, ends: Ends) -> Body:
        """Return where the body of an object is.

        Raises:
          S3BoxError: this package did not write the object.
        """
        ...

    def close(self, bodies: Sequence[Body]) -> Closing:
        """Return what comes behind these bodies."""
        ...


def join_of(url: str, head: bytes) -> Join:
    """Return how an object is joined with others like it.

    Args:
      url: its URL, for errors.
      head: its first bytes, 1 MB or all.

    Raises:
      S3BoxError: this package did not write the object.
    """
    if head.startswith(b"Obj\x01"):
        from beam_s3box.formats.avro.joins import avro_join_of

        return avro_join_of(url, head)
    for join in (JsonJoin(JSON_ARRAY), JsonJoin(JSON_LINES)):
        if head.startswith(join.before):
            return join
    raise not_ours(url, "it begins otherwise")


def not_ours(url: str, reason: str) -> S3BoxError:
    """Return the error for an object that can't be joined."""
    return S3BoxError(
        f"{url} is not a shard as this package writes it ({reason}), and can't be joined without decompressing it: "
        "another program wrote or changed it; write its records again"
    )


@dataclasses.dataclass(frozen=True)
class JsonJoin:
    """Joins gzip files of JSON.

    Attributes:
      format: of the files.
    """

    format: JsonText

    @property
    def content_type(self) -> str:
        """The MIME type of the object."""
        return self.format.content_type

    @property
    def extension(self) -> str:
        """The extension of the object's key."""
        return self.format.extension

    @property
    def before(self) -> bytes:
        """The header, and the text before the records."""
        return deflate.HEADER + deflate.store(self.format.opening).data

    @property
    def between(self) -> bytes:
        """The text between two segments."""
        return deflate.store(self.format.separator).data

    @property
    def trailer_bytes(self) -> int:
        """The number of bytes behind an object's body."""
        return len(deflate.store(self.format.closing).data) + deflate.TRAILER_BYTES

    def body(self, ends: Ends) -> Body:
        """Return where the body of a file is."""
        end = _FLUSHED + deflate.store(self.format.closing).data + deflate.FINAL_BLOCK
        start, stop = len(self.before), ends.size - self.trailer_bytes
        if not ends.tail[:-8].endswith(end) or stop - start < len(_FLUSHED):
            raise not_ours(ends.url, "it ends otherwise")
        crc32, length = int.from_bytes(ends.tail[-8:-4], "little"), int.from_bytes(ends.tail[-4:], "little")
        raw_bytes = ends.raw_bytes
        if raw_bytes is None:
            if ends.size * _DEFLATE_RATIO >= 2**32:
                raise not_ours(ends.url, "its size before compression is not in the run's record")
            raw_bytes = length
        if raw_bytes % 2**32 != length:
            raise not_ours(ends.url, f"its trailer counts {length} bytes, and the run's record {raw_bytes}")
        return Body(start, stop, *self._within(crc32, raw_bytes))

    def close(self, bodies: Sequence[Body]) -> Closing:
        """Return what comes behind these bodies."""
        opening, between, closing = self._texts
        crc32, raw_bytes = opening.crc32, opening.raw_bytes
        pieces: list[Segment | Body] = []
        for body in bodies:
            pieces += [between, body] if pieces else [body]
        for piece in (*pieces, closing):
            crc32 = zlib_ng.crc32_combine(crc32, piece.crc32, piece.raw_bytes)
            raw_bytes += piece.raw_bytes
        return Closing(closing.data + deflate.trailer(crc32, raw_bytes), raw_bytes)

    @property
    def _texts(self) -> tuple[Segment, Segment, Segment]:
        texts = self.format.opening, self.format.separator, self.format.closing
        opening, between, closing = map(deflate.store, texts)
        return opening, between, closing

    def _within(self, crc32: int, raw_bytes: int) -> tuple[int, int]:
        """Return checksum and length without the texts around the records, given those of the whole file."""
        opening, _, closing = self._texts
        inner = raw_bytes - opening.raw_bytes - closing.raw_bytes
        without_closing = zlib_ng.crc32_combine(crc32 ^ closing.crc32, 0, _SHIFTS - closing.raw_bytes)
        return without_closing ^ zlib_ng.crc32_combine(opening.crc32, 0, inner), inner
