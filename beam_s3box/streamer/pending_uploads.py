"""The state of each upload, the calls that wait for uploads, and what was done so far."""

from __future__ import annotations

import dataclasses
import queue
from typing import Literal, NamedTuple

from beam_s3box.streamer.events import PendingFile
from beam_s3box.streamer.sealed_buffer import SealedBuffer


class UploadCounts(NamedTuple):
    """What was done so far; replaced as a whole, so that it can be read without a lock."""

    files: int = 0
    records: int = 0
    size: int = 0
    failed_attempts: int = 0
    callback_errors: int = 0
    lost_records: int = 0

    def plus(self, **more: int) -> UploadCounts:
        """Return these counts with some added."""
        return self._replace(**{name: getattr(self, name) + number for name, number in more.items()})


@dataclasses.dataclass(slots=True, eq=False)
class PendingUpload:
    """A sealed file, and the state of its upload.

    Attributes:
      owner: the thread that works on it now; None if no thread does. It alone decides whether an attempt may begin.
      begun: the number of its last attempt among the attempts at all files.
      ticket: identifies its entry in the queue; None if it has none. Older entries are void.
    """

    sealed: SealedBuffer
    owner: int | None = None
    ticket: object | None = None
    attempts: int = 0
    begun: int = 0
    due: float = 0.0
    error: Exception | None = None

    def describe(self) -> PendingFile:
        """Return what callers get to see of it."""
        error = f"{type(self.error).__name__}: {self.error}" if self.error else ""
        place: Literal["folder", "lost"] = "lost" if self.sealed.done else "folder"
        return PendingFile(self.sealed.file_name, *self.sealed.stream, self.attempts, error, place)


class Waiter:
    """One call that waits until each of these files was tried."""

    def __init__(self, wanted: list[PendingUpload]) -> None:
        self.wanted = wanted
        self.left: set[PendingUpload | None] = set(wanted)
        self._ended: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.complete(None)

    def complete(self, upload: PendingUpload | None) -> None:
        """Stop waiting for a file."""
        self.left.discard(upload)
        if not self.left:
            self._ended.put(None)

    def end(self) -> None:
        """Stop waiting for any file."""
        self.left.clear()
        self._ended.put(None)

    def wait(self, timeout: float | None) -> None:
        """Return when no file is left, or after this many seconds."""
        try:
            self._ended.get(timeout=timeout)
        except queue.Empty:
            return
