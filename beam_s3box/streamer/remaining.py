"""What remains when a call could not upload everything, and the error that says why."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from beam_s3box.errors import UploadsFailedError
from beam_s3box.records.streams import Stream
from beam_s3box.sizes import counted_text
from beam_s3box.streamer.events import PendingFile

_ENDS = {
    "folder": "They stay in {folder}",
    "memory": "Their records are in memory only, as {folder} has no room: free some, then flush or shut down again",
    "lost": "Some of their records are lost",
}


class Remaining(NamedTuple):
    """What is not uploaded.

    Attributes:
      unsealed: records of open streams that could not be sealed.
      pending: files that are not uploaded.
    """

    unsealed: tuple[PendingFile, ...]
    pending: tuple[PendingFile, ...]

    @property
    def in_memory(self) -> bool:
        """Whether records are in memory only."""
        return any(file.place == "memory" for file in self.unsealed)

    def check(self, folder: pathlib.Path) -> None:
        """Raise UploadsFailedError if anything remains; names each stream, the reason, and where its records are."""
        files = (*self.unsealed, *self.pending)
        sentences = [
            f"{_by_stream(there)}. {end.format(folder=folder)}"
            for place, end in _ENDS.items()
            if (there := [file for file in files if file.place == place])
        ]
        if sentences:
            raise UploadsFailedError(". ".join(sentences), files)


def _by_stream(files: Sequence[PendingFile]) -> str:
    by_stream: dict[Stream, list[PendingFile]] = {}
    for file in files:
        by_stream.setdefault(Stream(file.domain, file.namespace), []).append(file)
    reasons = "; ".join(f"{stream}: {_why(pending)}" for stream, pending in sorted(by_stream.items()))
    return f"not uploaded: {counted_text(len(files), 'file')} of {counted_text(len(by_stream), 'stream')}. {reasons}"


def _why(files: Sequence[PendingFile]) -> str:
    reasons = dict.fromkeys(file.error or "not finished in time" for file in files)
    return f"{counted_text(len(files), 'file')} ({', '.join(reasons)})"
