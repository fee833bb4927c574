"""Raises at every line of a call, as a signal handler may, and counts the points that were tried."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import beam_s3box

PACKAGE = str(Path(beam_s3box.__file__).parent)
HUNG_SECONDS = 30.0


class Late(Exception):
    """What the handler of a signal raises, as a time limit does."""


class Hung(BaseException):
    """A call did not come back."""


def raises_at(point: int, call: Callable[[], object], error: type[BaseException] = Late) -> bool:
    """Call, and raise before the line of that number, counted over the package's lines; return whether it came so far."""
    left = point

    def lines(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if event == "line":
            left -= 1
            if left == 0:
                raise error
        return lines

    def calls(frame: FrameType, event: str, argument: Any) -> Any:
        return lines if frame.f_code.co_filename.startswith(PACKAGE) else None

    def confined() -> Iterator[None]:
        # one that is raised in the midst of an `except` stays the thread's current exception, and becomes the context of
        # all later ones; in a generator it goes with it
        call()
        yield

    before = sys.gettrace()
    steps = confined()
    sys.settrace(calls)
    try:
        next(steps)
    finally:
        sys.settrace(before)
    return left <= 0


@contextlib.contextmanager
def hangs_are_found() -> Iterator[None]:
    """Raise Hung in the main thread if the block takes too long."""

    def take(number: int, frame: FrameType | None) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, take)
    signal.setitimer(signal.ITIMER_REAL, HUNG_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
