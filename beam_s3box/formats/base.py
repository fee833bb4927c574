"""A format is three things: it cuts a segment out of records, joins segments to a shard, and names itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from beam_s3box.packing import Frame
from beam_s3box.shards import Segment


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
    def frame(self) -> Frame:
        """What the format adds to the records of a shard."""
        ...

    @property
    def record_overhead(self) -> int:
        """Raw bytes that a record takes in a segment beside its line."""
        ...

    def cut(self, lines: Sequence[bytes]) -> Segment:
        """Return the records, one line of JSON each without its line break, as a segment."""
        ...

    def join(self, segments: Sequence[Segment]) -> bytes:
        """Return the segments as one object; never compresses anything again."""
        ...
