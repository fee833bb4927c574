"""Raises at every line of a call, as a signal handler may, and counts the points that were tried."""

from __future__ import annotations

import contextlib
import faulthandler
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import beam_s3box

PACKAGE = str(Path(beam_s3box.__file__).parent)
HUNG_SECONDS = 60.0


class Late(Exception):
    """What the handler of a signal raises, as a time limit does."""


class Hung(BaseException):
    """A call did not come back."""


class Acts:
    """A trace function that acts before the line of that number, counted over the package's lines.

    Attributes:
      left: lines until it acts; 0 or less if it did.
    """

    def __init__(self, point: int, act: Callable[[], object]) -> None:
        self.left = point
        self._act = act

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._lines if frame.f_code.co_filename.startswith(PACKAGE) else None

    def _lines(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self.left -= 1
            if self.left == 0:
                self._act()
        return self._lines


def raises_at(point: int, call: Callable[[], object], error: type[BaseException] = Late) -> bool:
    """Call, and raise before the line of that number, counted over the package's lines; return whether it came so far."""

    def act() -> None:
        raise error

    return acts_at(point, call, act)


def acts_at(point: int, call: Callable[[], object], act: Callable[[], object]) -> bool:
    """Call, and act before the line of that number, as `raises_at` does."""
    acts = Acts(point, act)

    def confined() -> Iterator[None]:
        # one that is raised in the midst of an `except` stays the thread's current exception, and becomes the context of
        # all later ones; in a generator it goes with it
        call()
        yield

    before = sys.gettrace()
    steps = confined()
    sys.settrace(acts)
    try:
        next(steps)
    finally:
        sys.settrace(before)
    return acts.left <= 0


@contextlib.contextmanager
def hangs_are_found() -> Iterator[None]:
    """Raise Hung in the main thread if the block takes too long."""

    def take(number: int, frame: FrameType | None) -> None:
        faulthandler.dump_traceback(2)  # where the other threads are is all that a rare one leaves
        raise Hung

    before = signal.signal(signal.SIGALRM, take)
    signal.setitimer(signal.ITIMER_REAL, HUNG_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
