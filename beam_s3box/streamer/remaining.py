"""What is left when a call could not upload everything, and the error that tells why."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from beam_s3box.errors import UploadsFailedError
from beam_s3box.records.streams import Stream
from beam_s3box.streamer.events import PendingFile

_ENDS = {
    "folder": "They stay in {folder}",
    "memory": "Their records are in memory only, as {folder} has no room: free some, then flush or shut down again",
    "lost": "Records of them are lost",
}


class Remaining(NamedTuple):
    """What is not uploaded.

    Attributes:
      unsealed: what of open streams could not be sealed.
      pending: files.
    """

    unsealed: tuple[PendingFile, ...]
    pending: tuple[PendingFile, ...]

    @property
    def in_memory(self) -> bool:
        """Whether records are in memory only."""
        return any(file.place == "memory" for file in self.unsealed)

    def check(self, folder: pathlib.Path) -> None:
        """Raise UploadsFailedError if anything is left; names each stream, why, and where its records are."""
        files = (*self.unsealed, *self.pending)
        told = [
            f"{_by_stream(there)}. {end.format(folder=folder)}"
            for place, end in _ENDS.items()
            if (there := [file for file in files if file.place == place])
        ]
        if told:
            raise UploadsFailedError(". ".join(told), files)


def _by_stream(files: Sequence[PendingFile]) -> str:
    by_stream: dict[Stream, list[PendingFile]] = {}
    for file in files:
        by_stream.setdefault(Stream(file.domain, file.namespace), []).append(file)
    told = "; ".join(f"{stream}: {_why(pending)}" for stream, pending in sorted(by_stream.items()))
    return f"{len(files)} files of {len(by_stream)} streams are not uploaded. {told}"


def _why(files: Sequence[PendingFile]) -> str:
    reasons = dict.fromkeys(file.error or "not finished in time" for file in files)
    return f"{len(files)} files ({', '.join(reasons)})"
