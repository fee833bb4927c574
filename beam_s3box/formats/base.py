"""The interface of formats: a format makes segments of records, and joins segments to a shard.

A format with a schema, which packs rows instead of lines of JSON, is also a `SchemaFormat`: each stream may have its
own schema, and a record is encoded as a row before it is accepted, so that one that does not fit is rejected in time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import Segment
from beam_s3box.shards.packing import Overhead

Encoder: TypeAlias = Callable[[bytes], bytes]
"""Encodes a line of JSON as the format packs it, or raises RecordError."""


class Format(Protocol):
    """The interface of a format; implementations are immutable and picklable."""

    @property
    def name(self) -> str:
        """The name of the format, as users write it."""
        ...

    @property
    def extension(self) -> str:
        """The extension of the object's key."""
        ...

    @property
    def content_type(self) -> str:
        """The MIME type of the object."""
        ...

    @property
    def copy_clause(self) -> str | None:
        """The clause of COPY for this format; None if COPY can't load it."""
        ...

    @property
    def overhead(self) -> Overhead:
        """The size that the format adds to the records of a shard."""
        ...

    @property
    def fingerprint(self) -> str:
        """A text that is equal only for formats whose segments can be joined; see also `format_of`."""
        ...

    @property
    def record_overhead(self) -> int:
        """Raw bytes that a record takes in a segment in addition to its line."""
        ...

    @property
    def between(self) -> bytes | None:
        """What joins neighbouring records before they are cut; None for a format that takes each alone."""
        ...

    def cut(self, lines: Sequence[bytes], records: int | None = None) -> Segment:
        """Return records as a segment.

        Args:
          lines: lines of JSON without line breaks, or what the encoder returned for them.
          records: how many they are, where some of them are joined by `between`; None for one each.
        """
        ...

    def join(self, segments: Sequence[Segment]) -> bytes:
        """Return the segments joined as one object, without compressing them again."""
        ...


@runtime_checkable
class SchemaFormat(Protocol):
    """The additional interface of a format with a schema."""

    def of_stream(self, stream: Stream) -> Format:
        """Return the format of one stream's shards."""
        ...

    def encoder(self, stream: Stream) -> Encoder:
        """Return the function that encodes a line of JSON of this stream for `cut`.

        Raises:
          RecordError: the stream has no schema.
        """
        ...

    def resolved_for(self, *, copy: bool) -> Format:
        """Return the format for a write with (`copy`) or without manifests."""
        ...


def format_of(format: Format, stream: Stream) -> Format:
    """Return the format of one stream's shards; most formats are the same for all streams."""
    return format.of_stream(stream) if isinstance(format, SchemaFormat) else format


def encoders_of(format: Format) -> Callable[[Stream], Encoder] | None:
    """Return the function that returns the encoder of a stream, None if lines of JSON are packed unchanged."""
    return format.encoder if isinstance(format, SchemaFormat) else None


def resolved_for(format: Format, *, copy: bool) -> Format:
    """Return the format for a write with (`copy`) or without manifests; most formats are the same for both."""
    return format.resolved_for(copy=copy) if isinstance(format, SchemaFormat) else format
