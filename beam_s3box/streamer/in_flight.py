"""Sealed files in flight: uploaded by a few threads, retried for ever, each by one thread at a time."""

from __future__ import annotations

import functools
import queue
import sys
import threading
from collections.abc import Callable
from types import FrameType

from beam_s3box.errors import RecordsLostError, StreamerError
from beam_s3box.records.streams import Stream
from beam_s3box.stores.retries import Retry
from beam_s3box.streamer.events import PendingFile, UploadEvent, as_error, report
from beam_s3box.streamer.guard import synchronized
from beam_s3box.streamer.pending_uploads import PendingUpload, UploadCounts, Waiter
from beam_s3box.streamer.sealed_buffer import SealedBuffer
from beam_s3box.system.outside import steady_seconds
from beam_s3box.system.threads import start_thread


class InFlightUploads:
    """Uploads sealed files. Any call may be interrupted by an exception, and repeated.

    Args:
      send: finishes, uploads and removes the file of a sealed buffer; continues where an earlier attempt failed.
      on_upload: called after each attempt.
      clock: returns seconds, monotonic.
      retry: the pauses between attempts.
      threads: uploads at the same time.
    """

    def __init__(
        self,
        send: Callable[[SealedBuffer], None],
        on_upload: Callable[[UploadEvent], object] | None,
        clock: Callable[[], float],
        retry: Retry,
        threads: int,
    ) -> None:
        self._upload_buffer = send
        self._on_upload = on_upload
        self._clock = clock
        self._retry = retry
        self._max_threads = threads
        self._guard = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._starting: set[object] = set()
        self._queue: queue.SimpleQueue[tuple[PendingUpload, object] | None] = queue.SimpleQueue()
        self._pending: dict[str, PendingUpload] = {}
        self._waiting: list[Waiter] = []
        self._when_idle: Callable[[], None] | None = None
        self._stopped = False
        self.counts = UploadCounts()
        self.begun = 0

    @synchronized
    def add(self, sealed: SealedBuffer) -> None:
        """Upload a file as soon as a thread is free; adding it again changes nothing."""
        sealed.handed_over = True
        if not sealed.done:
            self._enqueue(self._pending.setdefault(sealed.name, PendingUpload(sealed)))

    def retry_due(self) -> None:
        """Retry the failed files whose pause is over."""
        self._enqueue_due(self._clock())

    def drain(self, stream: Stream | None, timeout: float | None, since: int) -> list[PendingFile]:
        """Try to upload each pending file once, wait, and return those that are still pending, or lost.

        Args:
          stream: only files of this stream; None for all.
          timeout: the most seconds to wait; None for no limit.
          since: an earlier value of `begun`; a file whose attempt began and failed since then is not retried.
        """
        self.refuse_own_threads()
        end = None if timeout is None else steady_seconds() + min(max(timeout, 0), threading.TIMEOUT_MAX)
        waiting = self._begin_drain(stream, since)
        if not self._thread_count():
            # no thread can be started, such as at the end of a process
            for upload in waiting.wanted:
                if _is_before(end) and self._claim(upload, upload.ticket):
                    self._attempt(upload)
        waiting.wait(None if end is None else max(0.0, end - steady_seconds()))
        return [upload.describe() for upload in waiting.wanted if not upload.sealed.done or upload.sealed.lost]

    def refuse_own_threads(self) -> None:
        """Raise StreamerError if this is called by `on_upload` or an uploader, which would deadlock."""
        # found on the stack: a flag for this thread might not be reset after an interruption
        frame: FrameType | None = sys._getframe()
        while frame is not None and not (frame.f_code is _ATTEMPT and frame.f_locals["self"] is self):
            frame = frame.f_back
        if frame is not None:
            raise StreamerError(
                "on_upload and uploaders can't flush, close or shut down: that would wait for themselves; do it on "
                "another thread"
            )

    def pending(self) -> list[PendingFile]:
        """Return the files that are not uploaded yet."""
        return [upload.describe() for upload in list(self._pending.values())]

    def stop(self, when_idle: Callable[[], None]) -> None:
        """Start no more attempts; call `when_idle` when the last one has ended, now or later, and maybe twice."""
        if self._stop(when_idle):
            when_idle()

    @synchronized
    def _begin_drain(self, stream: Stream | None, since: int) -> Waiter:
        wanted = [upload for upload in self._pending.values() if stream in (None, upload.sealed.stream)]
        left = [upload for upload in wanted if upload.owner is not None or upload.begun <= since]
        for upload in left:
            # also one that seems to be queued: the thread that took it may have been interrupted
            self._enqueue(upload, again=True)
        waiting = Waiter([] if self._stopped else left)
        waiting.wanted = wanted
        self._waiting.append(waiting)
        return waiting

    @synchronized
    def _enqueue_due(self, now: float) -> None:
        for upload in self._pending.values():
            if upload.due <= now:
                self._enqueue(upload)

    def _enqueue(self, upload: PendingUpload, *, again: bool = False) -> None:
        if upload.owner is None and (again or upload.ticket is None):
            ticket = object()
            self._queue.put((upload, ticket))
            upload.ticket = ticket
        self._start_threads()

    def _start_threads(self) -> None:
        self._threads = {thread for thread in self._threads if thread.is_alive()}
        while not self._stopped and self._thread_count() < min(self._max_threads, len(self._pending)):
            place = object()
            try:
                self._starting.add(place)
                # daemon threads: what is pending when a program ends is on the disk, for the next streamer
                start_thread(functools.partial(self._work, place), "beam_s3box upload")
            except BaseException as exc:
                # a thread that did start registers itself
                self._starting.discard(place)
                if type(exc) is not RuntimeError:
                    raise
                # the record is taken; the next call tries again, and `drain` needs no thread
                return

    def _thread_count(self) -> int:
        return len(self._threads) + len(self._starting)

    @synchronized
    def _stop(self, when_idle: Callable[[], None]) -> bool:
        self._when_idle = when_idle
        self._stopped = True
        for waiting in self._waiting:
            waiting.end()
        for _ in range(self._thread_count()):
            self._queue.put(None)
        return self._is_idle()

    def _is_idle(self) -> bool:
        # an upload that this thread itself owns was interrupted
        mine = (None, threading.get_ident())
        return self._stopped and all(upload.owner in mine for upload in self._pending.values())

    def _work(self, place: object) -> None:
        self._join(place)
        try:
            while found := self._queue.get():
                if self._claim(*found):
                    self._attempt(found[0])
        finally:
            self._call(self._leave())

    @synchronized
    def _join(self, place: object) -> None:
        self._starting.discard(place)
        self._threads.add(threading.current_thread())
        if self._stopped:
            # a thread that was not counted yet may have missed the end
            self._queue.put(None)

    @synchronized
    def _leave(self) -> Callable[[], None] | None:
        """Let other threads continue, also with the upload of this one if an exception ends it."""
        self._threads.discard(threading.current_thread())
        for upload in self._pending.values():
            if upload.owner == threading.get_ident():
                upload.owner = None
            if not self._stopped:
                self._enqueue(upload, again=True)
        return self._when_idle if self._is_idle() else None

    @staticmethod
    def _call(function: Callable[[], None] | None) -> None:
        if function is not None:
            function()

    @synchronized
    def _claim(self, upload: PendingUpload, ticket: object | None) -> bool:
        """Return whether this thread is to try the file now; no other one does until the attempt has ended."""
        if upload.ticket is not ticket or upload.owner not in (None, threading.get_ident()):
            return False
        upload.ticket = None
        if self._stopped or upload.sealed.done:
            return False
        upload.owner = threading.get_ident()
        self.begun += 1
        upload.begun = self.begun
        return True

    def _attempt(self, upload: PendingUpload) -> None:
        raised: BaseException | None = None
        try:
            self._upload_buffer(upload.sealed)
        except BaseException as exc:  # noqa: BLE001 - whatever an uploader raises is passed to on_upload, and retried
            raised = exc
        error = as_error(raised, "the uploader") if raised else None
        attempts = upload.attempts + 1
        try:
            self._count(upload, error)
            if upload.sealed.file or error:
                self._notify(upload, attempts, error)
        finally:
            due = self._clock() + self._retry.pause_seconds(attempts)
            when_idle = self._complete(upload, attempts, error, due)
        self._call(when_idle)
        if raised is not error and threading.current_thread() not in self._threads:
            # ^C during a flush without threads
            raise raised  # type: ignore[misc]

    @synchronized
    def _count(self, upload: PendingUpload, error: Exception | None) -> None:
        file = upload.sealed.file
        if error:
            self.counts = self.counts.plus(failed_attempts=1)
        elif file:
            self.counts = self.counts.plus(files=1, records=file.records, size=file.size)
        if not error or isinstance(error, RecordsLostError):
            self.counts = self.counts.plus(lost_records=upload.sealed.lost)

    def _notify(self, upload: PendingUpload, attempts: int, error: Exception | None) -> None:
        if self._on_upload is None:
            return
        sealed = upload.sealed
        try:
            self._on_upload(UploadEvent(sealed.file_name, *sealed.stream, attempts, sealed.file, error))
        except BaseException as exc:  # noqa: BLE001 - the user's callback must not stop the uploads
            self._count_callback_error()
            report(as_error(exc, "on_upload"))

    @synchronized
    def _count_callback_error(self) -> None:
        self.counts = self.counts.plus(callback_errors=1)

    @synchronized
    def _complete(
        self, upload: PendingUpload, attempts: int, error: Exception | None, due: float
    ) -> Callable[[], None] | None:
        """Record how an attempt ended; return the function to call if it was the last one."""
        upload.attempts = attempts
        upload.error = error
        upload.due = due
        if error is None or isinstance(error, RecordsLostError):
            if upload.sealed.lost and error is None:
                upload.error = RecordsLostError(f"{upload.sealed.lost} records of this file are lost")
            upload.sealed.done = True
            self._pending.pop(upload.sealed.name, None)
        upload.owner = None
        for waiting in self._waiting:
            waiting.complete(upload)
        self._waiting = [waiting for waiting in self._waiting if waiting.left]
        return self._when_idle if self._is_idle() else None


_ATTEMPT = InFlightUploads._attempt.__code__


def _is_before(end: float | None) -> bool:
    return end is None or steady_seconds() < end
