"""^C, SIGTERM and SIGHUP: how terminals, containers, schedulers and closed sessions ask a command to end."""

from __future__ import annotations

import _thread
import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, Final, TypeAlias

from beam_s3box.cli.console.output import say

DEFAULT_GRACE_SECONDS: Final = 30.0
"""As long as Kubernetes and ECS wait between SIGTERM and SIGKILL."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SHELL_CODE: Final = 128
"""Shells add a signal's number to this for the exit code of what it ended."""

WHAT_COUNTS: Final = "what is not listed in a manifest does not count"

_POKE: Final = signal.SIGURG
"""Interrupts a wait; it has no effect by default, and nothing here uses it otherwise."""

_POKE_SECONDS: Final = (0.0, 0.05, 0.5)
"""Pauses before each."""

_STDERR = 2
_Handler: TypeAlias = Callable[[int, FrameType | None], None]


class Interrupted(KeyboardInterrupt):
    """A signal asked the command to end.

    Attributes:
      number: of the signal.
    """

    def __init__(self, number: int, message: str = WHAT_COUNTS) -> None:
        super().__init__(message)
        self.number = number

    def __str__(self) -> str:
        what = f": {self.args[0]}" if self.args[0] else ""
        return f"interrupted by {signal.Signals(self.number).name}{what}"


def interrupted_of(error: KeyboardInterrupt) -> Interrupted:
    """Return the error as ours: a KeyboardInterrupt that Python itself raises comes from ^C."""
    return error if isinstance(error, Interrupted) else Interrupted(signal.SIGINT)


def exit_code_of(number: int) -> int:
    """Return the exit code of a command that a signal ended: 130 for ^C, 143 for SIGTERM, 129 for SIGHUP."""
    return _SHELL_CODE + number


@contextlib.contextmanager
def signals_raise(grace_seconds: float | None = None, message: str = WHAT_COUNTS) -> Iterator[list[int]]:
    """Raise Interrupted where the first of the signals meets the main thread; yield the numbers of those that came.

    Another SIGTERM or SIGHUP changes nothing: `timeout` and systemd send more than one. Each ^C raises.

    Args:
      grace_seconds: after which the process ends if the block has not; None for no such limit.
      message: says what counts; empty where nothing is written that could.
    """
    asked: list[int] = []

    def take(number: int, frame: FrameType | None) -> None:
        is_first = not asked
        if number == signal.SIGINT or is_first:
            asked.append(number)
            if is_first and grace_seconds is not None:
                undo.callback(end_within(grace_seconds, Interrupted(number, message)))
            raise Interrupted(number, message)

    with contextlib.ExitStack() as undo, _handled(_SIGNALS, take):
        yield asked


def end_within(seconds: float, why: Interrupted, *, is_printed: bool = False) -> Callable[[], None]:
    """End the process by force after so many seconds, unless the function that this returns is called.

    Args:
      seconds: from now.
      why: it ends; printed then, and gives the exit code.
      is_printed: whether it was printed before.
    """
    cancelled = threading.Lock()
    cancelled.acquire()

    def end() -> None:
        if cancelled.acquire(timeout=seconds):
            return
        try:
            if not is_printed:
                say(f"{why} (it did not finish within {seconds:g} s)", error=True)
        finally:
            os._exit(exit_code_of(why.number))

    # not Thread.start(): this may be the handler of a signal that met the main thread with a lock of `threading`
    _thread.start_new_thread(end, ())
    return cancelled.release


class Interrupts:
    """Takes the signals while the block runs, so that the command can finish in order.

    The first is noted, and wakes who waits in `readable`. After it, ^C raises Interrupted, and so does the end of the
    grace time; another SIGTERM or SIGHUP changes nothing, because `timeout` and systemd send more than one. A signal
    that is ignored, as SIGHUP under `nohup` or SIGINT in a shell's background, stays so; outside of the main thread
    nothing is taken.

    Args:
      notice: written to standard error at the first; `{signal}` and `{seconds}` are replaced.
      grace_seconds: time to finish.

    Attributes:
      asked: number of the first signal, 0 before it.
    """

    def __init__(self, notice: str, grace_seconds: float = DEFAULT_GRACE_SECONDS) -> None:
        self.asked = 0
        self._notice = notice
        self._seconds = grace_seconds
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Interrupts:
        self._woken, self._wake = os.pipe()
        self._undo.callback(os.close, self._woken)
        self._undo.callback(os.close, self._wake)
        self._undo.enter_context(_handled(_SIGNALS, self._take))
        self._undo.enter_context(_handled((signal.SIGALRM,), self._end))
        return self

    def __exit__(
        self, error: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.asked:
            signal.setitimer(signal.ITIMER_REAL, 0)
        self._undo.close()

    def readable(self, descriptor: int) -> bool:
        """Wait until there is something to read, or the end; return False if the command was asked to end."""
        if not self.asked:
            select.select([descriptor, self._woken], [], [])
        return not self.asked

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            if number == signal.SIGINT:
                raise Interrupted(number)
            return
        self.asked = number
        signal.setitimer(signal.ITIMER_REAL, self._seconds)
        os.write(self._wake, b"\0")
        notice = self._notice.format(signal=signal.Signals(number).name, seconds=f"{self._seconds:g}")
        # a signal may come in the middle of a print, which can't be entered twice; this can
        with contextlib.suppress(OSError):
            os.write(_STDERR, f"{notice}\n".encode())

    def _end(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise Interrupted(
                self.asked,
                f"it did not finish within --grace_seconds={self._seconds:g}; {WHAT_COUNTS}",
            )


@contextlib.contextmanager
def _handled(numbers: tuple[signal.Signals, ...], handler: _Handler) -> Iterator[None]:
    """Handle signals while the block runs, but for those that are ignored."""
    with contextlib.ExitStack() as undo:
        if threading.current_thread() is threading.main_thread():
            undo.enter_context(_main_thread_woken())
            for number in (*numbers, _POKE):
                before: Any = signal.getsignal(number)
                # None: set by code that is not Python's, which can't be put back
                if before is not signal.SIG_IGN and before is not None:
                    undo.callback(signal.signal, number, before)
                    signal.signal(number, _no_more if number == _POKE else handler)
        yield


@contextlib.contextmanager
def _main_thread_woken() -> Iterator[None]:
    """Interrupt what the main thread waits in when a signal came, whichever thread the system gave it to.

    Python calls handlers only in the main thread, and Linux may give a signal to another one, or to the main thread
    just before it waits: it would keep waiting, for ever if nothing else wakes it. Of blocks within each other the
    innermost sees the signals of all.
    """
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    main = threading.main_thread().ident

    def watch() -> None:
        while came := os.read(woken, 1):
            if came[0] != _POKE and main is not None:
                for pause in _POKE_SECONDS:  # it may be about to wait
                    time.sleep(pause)
                    signal.pthread_kill(main, _POKE)
        os.close(woken)

    before = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    try:
        with contextlib.suppress(RuntimeError):  # the system refuses a thread
            _thread.start_new_thread(watch, ())
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(wake)


def _no_more(number: int, frame: FrameType | None) -> None:
    """Do nothing: that the signal interrupts a wait is enough."""
