"""What a streamer tells: the file to upload, what became of it, what waits, and counts."""

from __future__ import annotations

import pathlib
import sys
import threading
from typing import Literal, NamedTuple

from beam_s3box.errors import StreamerError


class BufferFile(NamedTuple):
    """One finished file, as an uploader gets it.

    Attributes:
      file_name: unique, the same after a crash; whoever uploads the same name twice holds the same bytes.
      domain, namespace: whose records these are.
      path: where the bytes lie; the file is gone once it is uploaded.
      records: how many it holds.
      size: bytes of the file.
      raw_bytes: bytes before compression.
      content_type: MIME type.
    """

    file_name: str
    domain: str
    namespace: str
    path: pathlib.Path
    records: int
    size: int
    raw_bytes: int
    content_type: str


class UploadEvent(NamedTuple):
    """One attempt to upload one file, as `on_upload` is told.

    Attributes:
      file_name: of the file.
      domain, namespace: whose records these are.
      attempts: of this streamer at this file, this one included.
      file: what was uploaded; None if the attempt failed before there was a file to upload.
      error: why the attempt failed; None for success.
    """

    file_name: str
    domain: str
    namespace: str
    attempts: int
    file: BufferFile | None
    error: Exception | None

    @property
    def succeeded(self) -> bool:
        """Whether the file is uploaded."""
        return self.error is None


class PendingFile(NamedTuple):
    """A sealed file that is not uploaded yet, or what of a stream could not be sealed, or was lost.

    Attributes:
      file_name: of the file; "" for records that are in no file.
      domain, namespace: whose records these are.
      attempts: so far, of this streamer.
      error: why the last one failed; "" if none has failed yet.
      place: where the records are: "folder", where the next streamer finds them; "memory" of this streamer, whose next
        `flush` or `shut_down` tries again to write them; "lost" if another program removed them.
    """

    file_name: str
    domain: str
    namespace: str
    attempts: int
    error: str
    place: Literal["folder", "memory", "lost"] = "folder"


class StreamerStats(NamedTuple):
    """What a streamer has done and holds.

    Attributes:
      open_streams: how many.
      records: appended to this streamer.
      uploaded_files, uploaded_records, uploaded_bytes: what it uploaded, what an earlier one left behind included.
      failed_attempts: at uploads.
      pending: sealed files that are not uploaded yet.
      disk_bytes: of all buffers and files in its folder.
      unlisted_files: uploaded and not in a manifest yet; those that were left for another uploader included.
      damaged_files: with bytes that were found to be no record after a crash; kept for a person to look at.
      callback_errors: exceptions that `on_upload` raised.
      lost_records: acknowledged, and removed from the folder by another program before they were uploaded.
    """

    open_streams: int
    records: int
    uploaded_files: int
    uploaded_records: int
    uploaded_bytes: int
    failed_attempts: int
    pending: tuple[PendingFile, ...]
    disk_bytes: int
    unlisted_files: int
    damaged_files: int
    callback_errors: int
    lost_records: int = 0


def as_error(error: BaseException, who: str) -> Exception:
    """Return an exception that may be handed on; one that would end a thread, as SystemExit, is wrapped."""
    if isinstance(error, Exception):
        return error
    wrapped = StreamerError(f"{who} raised {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped


def report(error: BaseException) -> None:
    """Hand an exception that has no caller to `threading.excepthook`: to standard error, if no program set it.

    The hook is a program's own code: it is called while no lock is held.
    """
    error = as_error(error, "a function of this program")
    hook = threading.excepthook
    arguments = (type(error), error, error.__traceback__, threading.current_thread())
    try:
        hook(threading.ExceptHookArgs(arguments))
    except Exception as exc:  # noqa: BLE001 - a hook that fails too must not stop the uploads
        sys.__excepthook__(type(exc), exc, exc.__traceback__)
