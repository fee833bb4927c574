"""A sealed buffer, until it is in the store."""

from __future__ import annotations

import dataclasses

from beam_s3box.records.streams import Stream
from beam_s3box.streamer.descriptions import Description
from beam_s3box.streamer.events import BufferFile
from beam_s3box.streamer.output import Output


@dataclasses.dataclass(slots=True, eq=False)
class SealedBuffer:
    """A buffer that takes no more records, and its progress.

    Attributes:
      name: the name of the buffer.
      stream: the stream of its records.
      output: the format of the finished file.
      records: the acknowledged records; None if an earlier process left the buffer, because it is not known then.
      size: the bytes of the buffer; None likewise.
      description: the description of the finished file, once that is complete.
      ready: whether the description is on the disk.
      checked: whether the finished file is known to hold what its description says.
      empty: whether it was found to have no records.
      handed_over: whether it was passed on to be uploaded.
      uploaded: whether its upload succeeded.
      kept: whether its description is kept for a manifest.
      done: whether nothing is left to do.
      lost: the number of its records that another program removed.
    """

    name: str
    stream: Stream
    output: Output
    records: int | None = None
    size: int | None = None
    description: Description | None = None
    ready: bool = False
    checked: bool = False
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
