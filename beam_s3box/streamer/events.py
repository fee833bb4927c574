"""What a streamer tells: the file to upload, what became of it, what waits, and counts."""

from __future__ import annotations

import pathlib
import sys
import threading
from typing import NamedTuple


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
    """A sealed file that is not uploaded yet, or what of a stream could not be sealed.

    Attributes:
      file_name: of the file; "" for records that could not be sealed.
      domain, namespace: whose records these are.
      attempts: so far, of this streamer.
      error: why the last one failed; "" if none has failed yet.
    """

    file_name: str
    domain: str
    namespace: str
    attempts: int
    error: str


class StreamerStats(NamedTuple):
    """What a streamer has done and holds.

    Attributes:
      open_streams: how many.
      records: appended to this streamer.
      uploaded_files, uploaded_records, uploaded_bytes: what it uploaded, what an earlier one left behind included.
      failed_attempts: at uploads.
      pending: sealed files that are not uploaded yet.
      disk_bytes: of all buffers and files in its folder.
      unlisted_files: uploaded and not in a manifest yet; 0 without manifests.
      damaged_files: with bytes that were found to be no record after a crash; kept for a person to look at.
      callback_errors: exceptions that `on_upload` raised.
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


def report(error: Exception) -> None:
    """Hand an exception that has no caller to `threading.excepthook`: to standard error, if no program set it."""
    hook = threading.excepthook
    arguments = (type(error), error, error.__traceback__, threading.current_thread())
    try:
        hook(threading.ExceptHookArgs(arguments))
    except Exception as exc:  # noqa: BLE001 - a hook that fails too must not stop the uploads
        sys.__excepthook__(type(exc), exc, exc.__traceback__)
