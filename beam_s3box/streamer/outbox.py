"""Sealed files on their way: uploaded by a few threads, tried again for ever, each at most once at a time."""

from __future__ import annotations

import dataclasses
import queue
import threading
from collections.abc import Callable

from beam_s3box.errors import StreamerError
from beam_s3box.metrics import OBJECT_BYTES, RECORDS_LISTED, SHARDS, MemoryMetrics
from beam_s3box.stores.retries import Retry
from beam_s3box.streamer.events import BufferFile, PendingFile, UploadEvent, report
from beam_s3box.streamer.folder import Sealed
from beam_s3box.streams import Stream

FAILED_ATTEMPTS = "failed_attempts"
CALLBACK_ERRORS = "callback_errors"


@dataclasses.dataclass(slots=True, eq=False)
class _Parcel:
    """A sealed file, and how its upload goes."""

    sealed: Sealed
    busy: bool = True
    attempts: int = 0
    due: float = 0.0
    error: Exception | None = None

    def describe(self) -> PendingFile:
        error = f"{type(self.error).__name__}: {self.error}" if self.error else ""
        return PendingFile(self.sealed.file_name, *self.sealed.stream, self.attempts, error)


class Outbox:
    """Uploads sealed files.

    Args:
      finish: makes the file of a sealed buffer, or returns the one made before; None if there is nothing in it.
      deliver: uploads it and forgets it.
      on_upload: told of each attempt.
      clock: seconds, never going back.
      retry: how long to wait between attempts.
      threads: how many upload at the same time.
    """

    def __init__(
        self,
        finish: Callable[[Sealed], BufferFile | None],
        deliver: Callable[[BufferFile], None],
        on_upload: Callable[[UploadEvent], object] | None,
        clock: Callable[[], float],
        retry: Retry,
        threads: int,
    ) -> None:
        self._finish = finish
        self._deliver = deliver
        self._on_upload = on_upload
        self._clock = clock
        self._retry = retry
        self._max_threads = threads
        self._threads: list[threading.Thread] = []
        self._queue: queue.SimpleQueue[_Parcel | None] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._parcels: dict[str, _Parcel] = {}
        self._awaited: list[set[_Parcel]] = []
        self._active = 0
        self._at_rest: Callable[[], None] | None = None
        self._stopped = False
        self.counts = MemoryMetrics()

    def add(self, sealed: Sealed) -> None:
        """Upload a file as soon as a thread is free."""
        with self._changed:
            parcel = self._parcels[sealed.name] = _Parcel(sealed)
            self._enqueue(parcel)

    def retry_due(self) -> None:
        """Try those again that failed and have waited long enough."""
        now = self._clock()
        with self._changed:
            for parcel in self._parcels.values():
                if not parcel.busy and parcel.due <= now:
                    self._enqueue(parcel)

    def drain(self, stream: Stream | None, timeout: float | None) -> list[PendingFile]:
        """Try each file that is here now, of one stream or of all; wait; return those that are still here."""
        self.refuse_own_threads()
        with self._changed:
            wanted = [parcel for parcel in self._parcels.values() if stream in (None, parcel.sealed.stream)]
            for parcel in wanted:
                if not parcel.busy:
                    self._enqueue(parcel)
            left = set() if self._stopped else set(wanted)
            self._awaited.append(left)
            try:
                self._changed.wait_for(lambda: not left, timeout)
            finally:
                self._awaited = [waiting for waiting in self._awaited if waiting is not left]
            return [parcel.describe() for parcel in wanted if parcel.sealed.name in self._parcels]

    def refuse_own_threads(self) -> None:
        """Raise StreamerError if this is called by `on_upload` or an uploader, which would wait for itself."""
        if threading.current_thread() in self._threads:
            raise StreamerError(
                "on_upload and uploaders can't flush, close or shut down: that would wait for them; do it on another "
                "thread"
            )

    def pending(self) -> list[PendingFile]:
        """Return the files that are not uploaded yet."""
        with self._changed:
            return [parcel.describe() for parcel in self._parcels.values()]

    def stop(self, at_rest: Callable[[], None]) -> None:
        """Begin no more attempts; call `at_rest` when the last one has ended, now or later."""
        with self._changed:
            self._stopped = True
            for waiting in self._awaited:
                waiting.clear()
            self._changed.notify_all()
            for _ in self._threads:
                self._queue.put(None)
            if self._active:
                self._at_rest = at_rest
                return
        at_rest()
        for thread in self._threads:
            thread.join()

    def _enqueue(self, parcel: _Parcel) -> None:
        parcel.busy = True
        self._queue.put(parcel)
        if len(self._threads) < min(self._max_threads, len(self._parcels)):
            # a daemon: what a program that ends leaves here is on the disk, and waits for the next streamer
            thread = threading.Thread(target=self._work, name="beam_s3box upload", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while parcel := self._queue.get():
            with self._changed:
                if self._stopped:
                    return
                self._active += 1
            try:
                self._attempt(parcel)
            finally:
                self._rest()

    def _rest(self) -> None:
        with self._changed:
            self._active -= 1
            at_rest = self._at_rest if not self._active else None
        if at_rest is not None:
            at_rest()

    def _attempt(self, parcel: _Parcel) -> None:
        file: BufferFile | None = None
        error: Exception | None = None
        try:
            file = self._finish(parcel.sealed)
            if file is not None:
                self._deliver(file)
        except Exception as exc:  # noqa: BLE001 - whatever an uploader raises is told to on_upload, and tried again
            error = exc
        parcel.attempts += 1
        self._count(file, error)
        if file or error:
            self._tell(parcel, file, error)
        self._settle(parcel, error)

    def _count(self, file: BufferFile | None, error: Exception | None) -> None:
        if error:
            self.counts.count(FAILED_ATTEMPTS)
        elif file:
            self.counts.count(SHARDS)
            self.counts.count(RECORDS_LISTED, file.records)
            self.counts.count(OBJECT_BYTES, file.size)

    def _tell(self, parcel: _Parcel, file: BufferFile | None, error: Exception | None) -> None:
        if self._on_upload is None:
            return
        sealed = parcel.sealed
        try:
            self._on_upload(UploadEvent(sealed.file_name, *sealed.stream, parcel.attempts, file, error))
        except Exception as exc:  # noqa: BLE001 - the user's callback must not stop the uploads
            self.counts.count(CALLBACK_ERRORS)
            report(exc)

    def _settle(self, parcel: _Parcel, error: Exception | None) -> None:
        with self._changed:
            parcel.error = error
            if error is None:
                del self._parcels[parcel.sealed.name]
            else:
                parcel.due = self._clock() + self._retry.pause_seconds(parcel.attempts)
                parcel.busy = False
            for waiting in self._awaited:
                waiting.discard(parcel)
            self._changed.notify_all()
