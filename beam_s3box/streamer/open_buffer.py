"""The buffers of a stream that are not handed over yet."""

from __future__ import annotations

from typing import NamedTuple

from beam_s3box.streamer.journal import Journal
from beam_s3box.streamer.sealed_buffer import SealedBuffer


class OpenBuffer:
    """A buffer of one stream, and its state.

    Attributes:
      journal: writes its file.
      sealed: the same buffer, once it takes no more records.
      begun: the time of its first record.
      granted: bytes of lines that the quota has reserved room for.
      full: whether it takes no more records: from now on it is only sealed, however often that fails.
    """

    def __init__(self, journal: Journal, sealed: SealedBuffer, begun: float) -> None:
        self.granted = 0
        self.journal = journal
        self.sealed = sealed
        self.begun = begun
        self.full = False


class StreamState(NamedTuple):
    """The buffers of a stream, of which the first takes records, and the number of records in earlier ones.

    It is replaced in one step, so that no interruption hands a buffer over twice or loses one.
    """

    buffers: tuple[OpenBuffer, ...] = ()
    handed_over: int = 0
