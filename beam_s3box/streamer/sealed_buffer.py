"""A buffer on its way from its last record to the store."""

from __future__ import annotations

import dataclasses

from beam_s3box.records.streams import Stream
from beam_s3box.streamer.descriptions import Description
from beam_s3box.streamer.events import BufferFile
from beam_s3box.streamer.output import Output


@dataclasses.dataclass(slots=True, eq=False)
class SealedBuffer:
    """A buffer that takes no more records, and how far it has come.

    Attributes:
      name: of the buffer.
      stream: whose records these are.
      output: what becomes of it.
      records: acknowledged in it; None if an earlier process left it, which did not say.
      size: bytes of the buffer; None likewise.
      description: of the finished file, once it is complete.
      ready: whether the description is on the disk.
      empty: whether it was found to hold no record.
      handed_over: whether it was given to be uploaded.
      uploaded: whether its upload succeeded.
      kept: whether it waits for a manifest, by its description.
      done: whether nothing is left to do.
      lost: how many of its records another program removed.
    """

    name: str
    stream: Stream
    output: Output
    records: int | None = None
    size: int | None = None
    description: Description | None = None
    ready: bool = False
    empty: bool = False
    handed_over: bool = False
    uploaded: bool = False
    kept: bool = False
    done: bool = False
    lost: int = 0

    @property
    def file_name(self) -> str:
        """The name of the finished file."""
        return self.description.file.file_name if self.description else self.name + self.output.make().extension

    @property
    def file(self) -> BufferFile | None:
        """The finished file; None if it is not complete."""
        return self.description.file if self.description else None
