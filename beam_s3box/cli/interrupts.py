"""^C, SIGTERM and SIGHUP: what terminals, containers, schedulers and closed sessions ask a command to end with."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, Final, TypeAlias

from beam_s3box.errors import ConfigurationError

DEFAULT_GRACE_SECONDS: Final = 30.0
"""As long as Kubernetes and ECS wait between SIGTERM and SIGKILL."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SHELL_CODE: Final = 128
"""Shells add a signal's number to this for the exit code of what it ended."""

_STDERR = 2
_Handler: TypeAlias = Callable[[int, FrameType | None], None]


class Interrupted(KeyboardInterrupt):
    """A signal asked the command to end.

    Attributes:
      number: of the signal.
    """

    def __init__(self, number: int, message: str = "what is not listed in a manifest does not count") -> None:
        super().__init__(message)
        self.number = number

    def __str__(self) -> str:
        return f"interrupted by {signal.Signals(self.number).name}: {self.args[0]}"


def interrupted_of(error: KeyboardInterrupt) -> Interrupted:
    """Return the error as ours: what Python raises by itself comes from ^C."""
    return error if isinstance(error, Interrupted) else Interrupted(signal.SIGINT)


def exit_code_of(number: int) -> int:
    """Return the exit code of a command that a signal ended: 130 for ^C, 143 for SIGTERM, 129 for SIGHUP."""
    return _SHELL_CODE + number


def add_grace_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--grace_seconds",
        metavar="SECONDS",
        type=float,
        default=DEFAULT_GRACE_SECONDS,
        help="time to come to an end after SIGTERM, SIGHUP or the first ^C (default: %(default)g)",
    )


def check_grace(seconds: float) -> float:
    """Return the time to come to an end.

    Raises:
      ConfigurationError: no number of seconds above 0.
    """
    if not 0 < seconds < math.inf:
        raise ConfigurationError(f"--grace_seconds={seconds!r} must be a number of seconds above 0")
    return seconds


@contextlib.contextmanager
def signals_raise(grace_seconds: float | None = None) -> Iterator[list[int]]:
    """Raise Interrupted where the first of the signals meets the main thread; yield the numbers of those that came.

    Another SIGTERM or SIGHUP changes nothing: `timeout` and systemd send more than one. Each ^C raises.

    Args:
      grace_seconds: after which the process ends if the block has not; None for no such limit.
    """
    asked: list[int] = []

    def take(number: int, frame: FrameType | None) -> None:
        is_first = not asked
        if number == signal.SIGINT or is_first:
            asked.append(number)
            if is_first and grace_seconds is not None:
                undo.callback(end_within(grace_seconds, exit_code_of(number)).cancel)
            raise Interrupted(number)

    with contextlib.ExitStack() as undo, _handled(_SIGNALS, take):
        yield asked


def end_within(seconds: float, code: int) -> threading.Timer:
    """End the process by force after so many seconds, unless the timer that this returns is cancelled."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()
    return timer


class Interrupts:
    """Takes the signals while the block runs, so that the command can come to a good end.

    The first is noted, and wakes who waits in `readable`. After it, ^C raises Interrupted, and so does the end of the
    grace time; another SIGTERM or SIGHUP changes nothing, because `timeout` and systemd send more than one. A signal
    that is ignored, as SIGHUP under `nohup` or SIGINT in a shell's background, stays so; outside of the main thread
    nothing is taken.

    Args:
      notice: written to standard error at the first; `{signal}` and `{seconds}` stand for what came and the grace time.
      grace_seconds: time to come to an end.

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
                f"it did not come to its end in --grace_seconds={self._seconds:g}; what is not listed in a manifest does "
                "not count",
            )


@contextlib.contextmanager
def _handled(numbers: tuple[signal.Signals, ...], handler: _Handler) -> Iterator[None]:
    """Handle signals while the block runs, but for those that are ignored."""
    with contextlib.ExitStack() as undo:
        if threading.current_thread() is threading.main_thread():
            for number in numbers:
                before: Any = signal.getsignal(number)
                # None: set by code that is not Python's, which can't be put back
                if before is not signal.SIG_IGN and before is not None:
                    undo.callback(signal.signal, number, before)
                    signal.signal(number, handler)
        yield
