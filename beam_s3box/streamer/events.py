"""What a streamer reports: files to upload, attempts, pending files, and stats."""

from __future__ import annotations

import pathlib
import sys
import threading
from typing import Literal, NamedTuple

from beam_s3box.errors import StreamerError


class BufferFile(NamedTuple):
    """One finished file, as an uploader gets it.

    Attributes:
      file_name: unique, and the same after a crash; two uploads of the same name have the same bytes.
      domain, namespace: the stream of the records.
      path: the path of the file, which is removed once it is uploaded.
      records: the number of records.
      size: the bytes of the file.
      raw_bytes: the bytes before compression.
      content_type: the MIME type.
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
    """One attempt to upload one file, as `on_upload` gets it.

    Attributes:
      file_name: the name of the file.
      domain, namespace: the stream of the records.
      attempts: attempts of this streamer at this file, including this one.
      file: the file that was uploaded; None if the attempt failed before there was a file to upload.
      error: the error of a failed attempt; None for success.
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
    """A sealed file that is not uploaded yet, or records of a stream that could not be sealed, or were lost.

    Attributes:
      file_name: the name of the file; "" for records that are in no file.
      domain, namespace: the stream of the records.
      attempts: attempts of this streamer so far.
      error: the error of the last attempt; "" if none has failed yet.
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
    """What a streamer has done so far, and what is pending.

    Attributes:
      open_streams: the number of open streams.
      records: records appended to this streamer.
      uploaded_files, uploaded_records, uploaded_bytes: what it uploaded, including what an earlier one left behind.
      failed_attempts: failed attempts to upload.
      pending: sealed files that are not uploaded yet.
      disk_bytes: the bytes of all buffers and files in its folder.
      unlisted_files: files that are uploaded and not in a manifest yet, including those for another uploader.
      damaged_files: files with bytes that are no records, found after a crash; kept for a person to look at.
      callback_errors: exceptions that `on_upload` raised.
      lost_records: acknowledged records that another program removed from the folder before they were uploaded.
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
    """Return an exception that may be passed on; one that would end a thread, such as SystemExit, is wrapped."""
    if isinstance(error, Exception):
        return error
    wrapped = StreamerError(f"{who} raised {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped


def report(error: BaseException) -> None:
    """Pass an exception that has no caller to `threading.excepthook`, which prints it unless the program replaced it.

    The hook is code of the program: it is called while no lock is held.
    """
    error = as_error(error, "a function of this program")
    hook = threading.excepthook
    arguments = (type(error), error, error.__traceback__, threading.current_thread())
    try:
        hook(threading.ExceptHookArgs(arguments))
    except Exception as exc:  # noqa: BLE001 - a hook that fails too must not stop the uploads
        sys.__excepthook__(type(exc), exc, exc.__traceback__)
