"""Sealed files on their way: uploaded by a few threads, tried again for ever, each at most once at a time."""

from __future__ import annotations

import functools
import queue
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

from beam_s3box.errors import RecordsLostError, StreamerError
from beam_s3box.records.streams import Stream
from beam_s3box.stores.retries import Retry
from beam_s3box.streamer.events import PendingFile, UploadEvent, as_error, report
from beam_s3box.streamer.guard import synchronized
from beam_s3box.streamer.pending_uploads import Counts, Parcel, Waiting
from beam_s3box.streamer.sealed_buffer import Sealed
from beam_s3box.system.threads import start_thread


class Outbox:
    """Uploads sealed files. Any call may be interrupted by an exception, and repeated.

    Args:
      send: makes the file of a sealed buffer, uploads and forgets it; goes on where an earlier attempt failed.
      on_upload: told of each attempt.
      clock: seconds, never going back.
      retry: how long to wait between attempts.
      threads: how many upload at the same time.
    """

    def __init__(
        self,
        send: Callable[[Sealed], None],
        on_upload: Callable[[UploadEvent], object] | None,
        clock: Callable[[], float],
        retry: Retry,
        threads: int,
    ) -> None:
        self._send = send
        self._on_upload = on_upload
        self._clock = clock
        self._retry = retry
        self._max_threads = threads
        self._guard = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._starting: set[object] = set()
        self._queue: queue.SimpleQueue[tuple[Parcel, object] | None] = queue.SimpleQueue()
        self._parcels: dict[str, Parcel] = {}
        self._waiting: list[Waiting] = []
        self._at_rest: Callable[[], None] | None = None
        self._stopped = False
        self.counts = Counts()
        self.begun = 0

    @synchronized
    def add(self, sealed: Sealed) -> None:
        """Upload a file as soon as a thread is free; the same one again changes nothing."""
        sealed.handed_over = True
        if not sealed.done:
            self._enqueue(self._parcels.setdefault(sealed.name, Parcel(sealed)))

    def retry_due(self) -> None:
        """Try those again that failed and have waited long enough."""
        self._enqueue_due(self._clock())

    def drain(self, stream: Stream | None, timeout: float | None, since: int) -> list[PendingFile]:
        """Try each file that is here now; wait; return those that are still here, or lost.

        Args:
          stream: whose files; None for all.
          timeout: seconds to wait at the most; None for no limit.
          since: what `begun` was; a file whose attempt began and failed since then is not tried again.
        """
        self.refuse_own_threads()
        end = None if timeout is None else time.monotonic() + min(max(timeout, 0), threading.TIMEOUT_MAX)
        waiting = self._expect(stream, since)
        if not self._threads_soon():
            # the system refuses threads, as at the end of a process
            for parcel in waiting.wanted:
                if _is_before(end) and self._claim(parcel, parcel.ticket):
                    self._attempt(parcel)
        waiting.wait(None if end is None else max(0.0, end - time.monotonic()))
        return [parcel.describe() for parcel in waiting.wanted if not parcel.sealed.done or parcel.sealed.lost]

    def refuse_own_threads(self) -> None:
        """Raise StreamerError if this is called by `on_upload` or an uploader, which would wait for itself."""
        # asked of the stack: a note that this thread is within an attempt could be left behind by an interruption
        frame: FrameType | None = sys._getframe()
        while frame is not None and not (frame.f_code is _ATTEMPT and frame.f_locals["self"] is self):
            frame = frame.f_back
        if frame is not None:
            raise StreamerError(
                "on_upload and uploaders can't flush, close or shut down: that would wait for them; do it on another "
                "thread"
            )

    def pending(self) -> list[PendingFile]:
        """Return the files that are not uploaded yet."""
        return [parcel.describe() for parcel in list(self._parcels.values())]

    def stop(self, at_rest: Callable[[], None]) -> None:
        """Begin no more attempts; call `at_rest` when the last one has ended, now or later, and maybe twice."""
        if self._stop(at_rest):
            at_rest()

    @synchronized
    def _expect(self, stream: Stream | None, since: int) -> Waiting:
        wanted = [parcel for parcel in self._parcels.values() if stream in (None, parcel.sealed.stream)]
        left = [parcel for parcel in wanted if parcel.owner is not None or parcel.begun <= since]
        for parcel in left:
            # also one that is said to be queued: whoever took it may have been interrupted
            self._enqueue(parcel, again=True)
        waiting = Waiting([] if self._stopped else left)
        waiting.wanted = wanted
        self._waiting.append(waiting)
        return waiting

    @synchronized
    def _enqueue_due(self, now: float) -> None:
        for parcel in self._parcels.values():
            if parcel.due <= now:
                self._enqueue(parcel)

    def _enqueue(self, parcel: Parcel, *, again: bool = False) -> None:
        if parcel.owner is None and (again or parcel.ticket is None):
            ticket = object()
            self._queue.put((parcel, ticket))
            parcel.ticket = ticket
        self._start_threads()

    def _start_threads(self) -> None:
        self._threads = {thread for thread in self._threads if thread.is_alive()}
        while not self._stopped and self._threads_soon() < min(self._max_threads, len(self._parcels)):
            place = object()
            try:
                self._starting.add(place)
                # what a program that ends leaves here is on the disk, and waits for the next streamer
                start_thread(functools.partial(self._work, place), "beam_s3box upload")
            except BaseException as exc:
                # a thread that did start comes by itself
                self._starting.discard(place)
                if type(exc) is not RuntimeError:
                    raise
                # the record is taken; the next call tries again, and `drain` does without
                return

    def _threads_soon(self) -> int:
        return len(self._threads) + len(self._starting)

    @synchronized
    def _stop(self, at_rest: Callable[[], None]) -> bool:
        self._at_rest = at_rest
        self._stopped = True
        for waiting in self._waiting:
            waiting.end()
        for _ in range(self._threads_soon()):
            self._queue.put(None)
        return self._is_at_rest()

    def _is_at_rest(self) -> bool:
        # one that this thread itself owns was interrupted
        mine = (None, threading.get_ident())
        return self._stopped and all(parcel.owner in mine for parcel in self._parcels.values())

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
            # one that nobody counts may have missed its end
            self._queue.put(None)

    @synchronized
    def _leave(self) -> Callable[[], None] | None:
        """Let other threads go on, also with what this one had taken if it ends of an exception."""
        self._threads.discard(threading.current_thread())
        for parcel in self._parcels.values():
            if parcel.owner == threading.get_ident():
                parcel.owner = None
            if not self._stopped:
                self._enqueue(parcel, again=True)
        return self._at_rest if self._is_at_rest() else None

    @staticmethod
    def _call(function: Callable[[], None] | None) -> None:
        if function is not None:
            function()

    @synchronized
    def _claim(self, parcel: Parcel, ticket: object | None) -> bool:
        """Return whether this thread is to try the file now; no other one does until it is settled."""
        if parcel.ticket is not ticket or parcel.owner not in (None, threading.get_ident()):
            return False
        parcel.ticket = None
        if self._stopped or parcel.sealed.done:
            return False
        parcel.owner = threading.get_ident()
        self.begun += 1
        parcel.begun = self.begun
        return True

    def _attempt(self, parcel: Parcel) -> None:
        raised: BaseException | None = None
        try:
            self._send(parcel.sealed)
        except BaseException as exc:  # noqa: BLE001 - whatever an uploader raises is told to on_upload, and tried again
            raised = exc
        error = as_error(raised, "the uploader") if raised else None
        attempts = parcel.attempts + 1
        try:
            self._count(parcel, error)
            if parcel.sealed.file or error:
                self._tell(parcel, attempts, error)
        finally:
            due = self._clock() + self._retry.pause_seconds(attempts)
            at_rest = self._settle(parcel, attempts, error, due)
        self._call(at_rest)
        if raised is not error and threading.current_thread() not in self._threads:
            # ^C, while a flush does without threads
            raise raised  # type: ignore[misc]

    @synchronized
    def _count(self, parcel: Parcel, error: Exception | None) -> None:
        file = parcel.sealed.file
        if error:
            self.counts = self.counts.plus(failed_attempts=1)
        elif file:
            self.counts = self.counts.plus(files=1, records=file.records, size=file.size)
        if not error or isinstance(error, RecordsLostError):
            self.counts = self.counts.plus(lost_records=parcel.sealed.lost)

    def _tell(self, parcel: Parcel, attempts: int, error: Exception | None) -> None:
        if self._on_upload is None:
            return
        sealed = parcel.sealed
        try:
            self._on_upload(UploadEvent(sealed.file_name, *sealed.stream, attempts, sealed.file, error))
        except BaseException as exc:  # noqa: BLE001 - the user's callback must not stop the uploads
            self._count_callback_error()
            report(as_error(exc, "on_upload"))

    @synchronized
    def _count_callback_error(self) -> None:
        self.counts = self.counts.plus(callback_errors=1)

    @synchronized
    def _settle(self, parcel: Parcel, attempts: int, error: Exception | None, due: float) -> Callable[[], None] | None:
        """Note how an attempt ended; return what is to be called when the last one has."""
        parcel.attempts = attempts
        parcel.error = error
        parcel.due = due
        if error is None or isinstance(error, RecordsLostError):
            if parcel.sealed.lost and error is None:
                parcel.error = RecordsLostError(f"{parcel.sealed.lost} records of this file are lost")
            parcel.sealed.done = True
            self._parcels.pop(parcel.sealed.name, None)
        parcel.owner = None
        for waiting in self._waiting:
            waiting.settle(parcel)
        self._waiting = [waiting for waiting in self._waiting if waiting.left]
        return self._at_rest if self._is_at_rest() else None


_ATTEMPT = Outbox._attempt.__code__


def _is_before(end: float | None) -> bool:
    return end is None or time.monotonic() < end
