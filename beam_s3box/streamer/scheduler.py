"""A thread that calls a function every few seconds."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from beam_s3box.errors import StreamerError
from beam_s3box.streamer.events import report
from beam_s3box.streamer.guard import synchronized
from beam_s3box.system.threads import start_thread


class Scheduler:
    """Calls a function every `interval` seconds until it is stopped; exceptions are reported and don't end it.

    Raises:
      StreamerError: no thread can be started.
    """

    def __init__(self, interval: float, function: Callable[[], None]) -> None:
        self._interval = min(interval, threading.TIMEOUT_MAX)
        self._function = function
        self._stops: queue.SimpleQueue[None] = queue.SimpleQueue()
        # held until the thread has ended
        self._guard = threading.Lock()
        self._guard.acquire()
        self._thread: threading.Thread | None = None
        try:
            start_thread(self._run, "beam_s3box scheduler")
        except RuntimeError as exc:
            raise StreamerError(
                f"the scheduler has no thread: {exc}; allow this process more, or give scheduler_interval=0"
            ) from exc

    def stop(self) -> None:
        """End the thread, and wait for a running call unless that is the caller. May be called again."""
        self._stops.put(None)
        if threading.current_thread() is not self._thread:
            self._wait()

    @synchronized
    def _wait(self) -> None:
        """Return once the thread has ended."""

    def _run(self) -> None:
        self._thread = threading.current_thread()
        try:
            while not self._is_stopped():
                self._round()
        finally:
            self._guard.release()

    def _is_stopped(self) -> bool:
        try:
            self._stops.get(timeout=self._interval)
        except queue.Empty:
            return False
        return True

    def _round(self) -> None:
        try:
            self._function()
        except BaseException as exc:  # noqa: BLE001 - the next round may succeed, and this error is reported
            report(exc)
