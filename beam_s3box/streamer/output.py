"""The format of finished files: one JSON array or JSON lines, gzip-compressed or plain text."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from beam_s3box.errors import ConfigurationError
from beam_s3box.formats import FORMATS, Format, JsonText
from beam_s3box.formats.json_text import JSON_ARRAY
from beam_s3box.shards.model import Segment, Size, total_size
from beam_s3box.shards.packing import Overhead

COMPRESSIONS = ("none", "gzip")

_GZIP_WINDOW = 31

_DESCRIPTION_BYTES = 320
"""About the bytes of the description of a file."""


@dataclasses.dataclass(frozen=True)
class PlainText:
    """A JSON format without compression; its segments hold plain text.

    Attributes:
      text: the text around and between the records.
    """

    text: JsonText
    copy_clause: str | None = None
    extension: str = ".json"
    content_type: str = "application/json"

    @property
    def name(self) -> str:
        """Its name, as users give it."""
        return self.text.name

    @property
    def overhead(self) -> Overhead:
        """What the format adds to the records of a file."""
        around, separator = len(self.text.opening) + len(self.text.closing), len(self.text.separator)
        return Overhead(Size(around, around, 0), Size(separator, separator, 0))

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the text format, marked as not compressed."""
        return f"plain-{self.text.fingerprint}"

    @property
    def record_overhead(self) -> int:
        """Bytes that a record takes in addition to its line."""
        return self.text.record_overhead

    @property
    def between(self) -> bytes:
        """The text between two records."""
        return self.text.between

    def cut(self, lines: Sequence[bytes], records: int | None = None) -> Segment:
        """Return the records as a segment."""
        data = self.text.between.join(lines) + self.text.after
        return Segment(data, 0, len(data), len(lines) if records is None else records)

    def join(self, segments: Sequence[Segment]) -> bytes:
        """Return the segments as one file."""
        return b"".join([self.text.opening, self.text.separator.join(s.data for s in segments), self.text.closing])


class Output(NamedTuple):
    """Names the format of a file, so that another process can finish it.

    Attributes:
      format: a name of `beam_s3box.formats.FORMATS`.
      compression: one of `COMPRESSIONS`.
      listed: whether manifests are to list the file, whose records were then checked by the rules of Redshift.
    """

    format: str
    compression: str
    listed: bool = False

    def make(self) -> Format:
        """Return the format.

        Raises:
          ConfigurationError: one of the names is unknown.
        """
        if not isinstance(self.listed, bool):
            raise ConfigurationError(f"listed={self.listed!r} must be true or false")
        if self.compression not in COMPRESSIONS:
            raise ConfigurationError(f"compression={self.compression!r} must be one of {', '.join(COMPRESSIONS)}")
        format = FORMATS.get(self.format) if isinstance(self.format, str) else None
        if not isinstance(format, JsonText):
            raise ConfigurationError(f"format={self.format!r} can't be streamed: take 'json-array' or 'json-lines'")
        return format if self.compression == "gzip" else PlainText(format)


def checked_output(format: str, compression: str, *, listed: bool) -> Output:
    """Return the output of these names; raise ConfigurationError if one is unknown."""
    output = Output(format, compression, listed)
    output.make()
    return output


def output_bytes(data_bytes: int, records: int, format: Format) -> int:
    """Return the most bytes that a finished file and its description take, for lines of this many bytes."""
    raw_bytes = data_bytes + records * format.record_overhead + format.overhead.shard.raw_bytes
    # deflate may enlarge data that it can't compress by up to an eighth
    return (raw_bytes if isinstance(format, PlainText) else raw_bytes * 9 // 8) + _DESCRIPTION_BYTES


class Rendered(NamedTuple):
    """The bytes of a finished file, and what they hold."""

    body: bytes
    records: int
    raw_bytes: int


def render(format: Format, batches: Iterable[Sequence[bytes]]) -> Rendered:
    """Return the file with these records, compressed batch by batch."""
    segments = [format.cut(lines) for lines in batches if lines]
    size, overhead = total_size(segments), format.overhead
    raw_bytes = size.raw_bytes + overhead.shard.raw_bytes + max(0, len(segments) - 1) * overhead.separator.raw_bytes
    return Rendered(format.join(segments), size.records, raw_bytes)


def read_rendered(body: bytes, file_name: str) -> Rendered | None:
    """Return what a finished file holds; None if a crash or a full disk has cut it."""
    text = body
    if file_name.endswith(".gz"):
        inflater = zlib.decompressobj(_GZIP_WINDOW)
        try:
            text = inflater.decompress(body)
        except zlib.error:
            return None
        if not inflater.eof or inflater.unused_data:
            return None
    is_array = text.startswith(JSON_ARRAY.opening)
    # records have neither line breaks nor NUL; the array has two lines around them
    if not text.endswith(JSON_ARRAY.closing if is_array else b"\n") or b"\0" in text:
        return None
    return Rendered(body, text.count(b"\n") - 2 * is_array, len(text))
