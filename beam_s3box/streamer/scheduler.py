"""A thread that does something every few seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable

from beam_s3box.streamer.events import report


class Scheduler:
    """Calls a function every `interval` seconds until it is stopped; an exception is reported and does not end it."""

    def __init__(self, interval: float, function: Callable[[], None]) -> None:
        self._interval = interval
        self._function = function
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="beam_s3box scheduler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a call that runs is waited for, unless it is the one that stops."""
        self._stopped.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            try:
                self._function()
            except Exception as exc:  # noqa: BLE001 - the next round may go better, and this one is told
                report(exc)
