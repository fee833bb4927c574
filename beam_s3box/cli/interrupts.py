"""^C, twice: the first asks the command to come to a good end, the second ends it at once."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_STDERR = 2


class Interrupts:
    """Takes SIGINT while the block runs.

    The first is noted, and wakes who waits in `readable`; the second raises KeyboardInterrupt. Where SIGINT is ignored,
    as for a command in a shell's background, and outside of the main thread, nothing changes.

    Args:
      notice: written to standard error at the first.
    """

    def __init__(self, notice: str) -> None:
        self.asked = False
        self._notice = notice
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Interrupts:
        self._woken, self._wake = os.pipe()
        self._undo.callback(os.close, self._woken)
        self._undo.callback(os.close, self._wake)
        before: Any = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and before is not signal.SIG_IGN:
            self._undo.callback(signal.signal, signal.SIGINT, before)
            signal.signal(signal.SIGINT, self._take)
        return self

    def __exit__(
        self, error: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._undo.close()

    def readable(self, descriptor: int) -> bool:
        """Wait until there is something to read, or the end; return False if the command was asked to end."""
        if not self.asked:
            select.select([descriptor, self._woken], [], [])
        return not self.asked

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        os.write(self._wake, b"\0")
        # a signal may come in the middle of a print, which can't be entered twice; this can
        with contextlib.suppress(OSError):
            os.write(_STDERR, f"{self._notice}\n".encode())
