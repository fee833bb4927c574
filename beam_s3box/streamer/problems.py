"""The error that tells which files are not uploaded, and why."""

from __future__ import annotations

from collections.abc import Sequence

from beam_s3box.errors import UploadsFailedError
from beam_s3box.streamer.events import PendingFile
from beam_s3box.streams import Stream


def uploads_failed(files: Sequence[PendingFile], folder: str) -> UploadsFailedError:
    """Return the error that names every stream with files that are not uploaded, and why."""
    by_stream: dict[Stream, list[PendingFile]] = {}
    for file in files:
        by_stream.setdefault(Stream(file.domain, file.namespace), []).append(file)
    told = "; ".join(f"{stream}: {_why(pending)}" for stream, pending in sorted(by_stream.items()))
    return UploadsFailedError(
        f"{len(files)} files of {len(by_stream)} streams are not uploaded. {told}. They stay in {folder}", files
    )


def _why(files: Sequence[PendingFile]) -> str:
    reasons = dict.fromkeys(file.error or "not finished in time" for file in files)
    return f"{len(files)} files ({', '.join(reasons)})"
