"""What can go wrong with a streamer.

S3BoxError
├── ConfigurationError
│   └── FolderInUseError        another streamer has the folder
└── StreamerError               the buffer files can't be written or read
    ├── StreamNotOpenError      never opened, or closed
    ├── StreamerClosedError     shut down, or a copy in a forked process
    ├── DiskQuotaError          `max_disk_bytes` is reached: uploads fail, or are slower than appends
    └── UploadsFailedError      some files are not uploaded; they stay and are tried again
"""

from __future__ import annotations

from collections.abc import Sequence

from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.streamer.events import PendingFile
from beam_s3box.streams import Stream


class FolderInUseError(ConfigurationError):
    """Another streamer has the folder: names its process."""


class StreamerError(S3BoxError):
    """The buffer files can't be written or read."""


class StreamNotOpenError(StreamerError):
    """The stream was never opened, or is closed."""


class StreamerClosedError(StreamerError):
    """The streamer is shut down, or this is a copy of it in a forked process."""


class DiskQuotaError(StreamerError):
    """`max_disk_bytes` is reached; the record was not taken."""


class UploadsFailedError(StreamerError):
    """Some files are not uploaded; they stay in the folder.

    Attributes:
      files: those that are not uploaded.
    """

    def __init__(self, message: str = "", files: Sequence[PendingFile] = ()) -> None:
        super().__init__(message)
        self.files = tuple(files)

    def __reduce__(self) -> tuple[type, tuple[str, tuple[PendingFile, ...]]]:
        return type(self), (str(self), self.files)


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
