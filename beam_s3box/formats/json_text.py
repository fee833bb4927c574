"""JSON formats: gzip files of JSON lines, or of one JSON array."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterator, Sequence

from beam_s3box.checks import check_whole
from beam_s3box.formats import deflate
from beam_s3box.shards.model import Segment, Size
from beam_s3box.shards.packing import Overhead

_DIGEST_CHARACTERS = 12


@dataclasses.dataclass(frozen=True)
class JsonText:
    """A gzip file of JSON records, described by the texts around and between them.

    Attributes:
      name: the name of the format, as users write it.
      copy_clause: the clause of COPY for this format, None if COPY can't load it.
      between: the text between two records.
      after: the text after the last record of a segment.
      opening, separator, closing: the texts before, between and after the segments of a shard.
      compression_level: of zlib-ng, from 1 (fastest) to 9 (slowest).
      extension: the extension of the object's key.
      content_type: the MIME type of the object.
    """

    name: str
    copy_clause: str | None
    between: bytes
    after: bytes = b""
    opening: bytes = b""
    separator: bytes = b""
    closing: bytes = b""
    compression_level: int = deflate.LEVEL
    extension: str = ".json.gz"
    content_type: str = "application/gzip"

    def __post_init__(self) -> None:
        check_whole("compression_level", self.compression_level, 1, 9, ": 1 is fastest, 9 is slowest")

    @functools.cached_property
    def overhead(self) -> Overhead:
        """The size that the format adds to the records of a shard."""
        opening, separator, closing = (
            deflate.store(text).size for text in (self.opening, self.separator, self.closing)
        )
        gzip = Size(len(deflate.HEADER) + deflate.TRAILER_BYTES, 0, 0)
        return Overhead(gzip.plus(opening).plus(closing), separator)

    @functools.cached_property
    def fingerprint(self) -> str:
        """The name, and a digest of the texts around and between records; segments of all levels can be joined."""
        texts = (self.between, self.after, self.opening, self.separator, self.closing)
        return f"{self.name}-{hashlib.sha256(repr(texts).encode('ascii')).hexdigest()[:_DIGEST_CHARACTERS]}"

    @property
    def record_overhead(self) -> int:
        """Raw bytes that a record takes in a segment in addition to its line."""
        return len(self.between)

    def cut(self, lines: Sequence[bytes], records: int | None = None) -> Segment:
        """Return the records, given as lines of JSON without line breaks, as a segment; see `Format.cut`."""
        text = self.between.join((*lines[:-1], lines[-1] + self.after)) if lines else self.after
        return deflate.compress(text, len(lines) if records is None else records, self.compression_level)

    def join(self, segments: Sequence[Segment]) -> bytes:
        """Return the segments as one single-member gzip file."""
        return deflate.join(self._with_separators(segments))

    def _with_separators(self, segments: Sequence[Segment]) -> Iterator[Segment]:
        separator = deflate.store(self.separator)
        yield deflate.store(self.opening)
        for number, segment in enumerate(segments):
            if number:
                yield separator
            yield segment
        yield deflate.store(self.closing)


JSON_LINES = JsonText("json-lines", copy_clause="FORMAT AS JSON 'auto' GZIP", between=b"\n", after=b"\n")
"""One record per line, as Redshift's COPY reads it."""

JSON_ARRAY = JsonText(
    "json-array", copy_clause=None, between=b",\n", opening=b"[\n", separator=b",\n", closing=b"\n]\n"
)
"""One array per file. Redshift loads a whole array as one row, so it has no manifests."""
