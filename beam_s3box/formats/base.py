"""A format is three things: it cuts a segment out of records, joins segments to a shard, and names itself.

Where it packs rows of a schema and no lines of JSON, it is a `SchemaFormat` besides: each stream may have a schema of
its own, and a record is turned into its row before it is accepted, so that what does not fit is refused in time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import Segment
from beam_s3box.shards.packing import Overhead

Encoder: TypeAlias = Callable[[bytes], bytes]
"""Turns a line of JSON into what the format packs, or raises RecordError."""


class Format(Protocol):
    """What the rest of the package asks of a format; implementations are immutable and picklable."""

    @property
    def name(self) -> str:
        """Its name, as users write it."""
        ...

    @property
    def extension(self) -> str:
        """Extension of the object's key."""
        ...

    @property
    def content_type(self) -> str:
        """MIME type of the object."""
        ...

    @property
    def copy_clause(self) -> str | None:
        """What COPY needs to read it; None if COPY can't load rows from it."""
        ...

    @property
    def overhead(self) -> Overhead:
        """What the format adds to the records of a shard."""
        ...

    @property
    def fingerprint(self) -> str:
        """Text that formats share only if one may join what another cut; of a stream's own format, see `format_of`."""
        ...

    @property
    def record_overhead(self) -> int:
        """Raw bytes that a record takes in a segment beside its line."""
        ...

    def cut(self, lines: Sequence[bytes]) -> Segment:
        """Return records as a segment: a line of JSON each, without its line break, or what an encoder made of it."""
        ...

    def join(self, segments: Sequence[Segment]) -> bytes:
        """Return the segments as one object; never compresses anything again."""
        ...


@runtime_checkable
class SchemaFormat(Protocol):
    """What a format has beside where records have a schema."""

    def of_stream(self, stream: Stream) -> Format:
        """Return the format of one stream's shards."""
        ...

    def encoder(self, stream: Stream) -> Encoder:
        """Return what turns a line of JSON of this stream into what `cut` takes.

        Raises:
          RecordError: the stream takes no records.
        """
        ...

    def resolved_for(self, *, copy: bool) -> Format:
        """Return the format as a write with or without manifests needs it."""
        ...


def format_of(format: Format, stream: Stream) -> Format:
    """Return the format of one stream's shards; most formats are the same for all streams."""
    return format.of_stream(stream) if isinstance(format, SchemaFormat) else format


def encoders_of(format: Format) -> Callable[[Stream], Encoder] | None:
    """Return what gives the encoder of a stream, None where lines of JSON are packed as they are."""
    return format.encoder if isinstance(format, SchemaFormat) else None


def resolved_for(format: Format, *, copy: bool) -> Format:
    """Return the format as a write with or without manifests needs it; most formats are the same for both."""
    return format.resolved_for(copy=copy) if isinstance(format, SchemaFormat) else format
