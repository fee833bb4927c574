"""Threads that compress the segments of one box: few at a time, so that what waits for them is small."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

from beam_s3box.sizes import MiB

T = TypeVar("T")

_THREADS: Final = 4
"""More than cores: beside a busy Python thread each waits most of its time for the interpreter, not for a core."""

_MAX_BYTES: Final = 24 * MiB
"""Memory of the lines that are being compressed; where lines are short, most of it is not their text."""

_LINE_COST: Final = 64
"""Bytes that a line takes in memory beside its text."""


class BoxCodec(Executor):
    """Runs `Format.cut`; a call waits for a free thread and for memory."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "beam_s3box-box-codec")
        self._freed = threading.Condition()
        self._running = 0
        self._running_bytes = 0
        self._cut_bytes = 0

    @property
    def cut_bytes(self) -> int:
        """Bytes of all segments cut so far."""
        return self._cut_bytes

    def submit(self, function: Callable[..., T], /, *arguments: Any, **named: Any) -> Future[T]:
        """Run a function from lines to their segment, when there is a thread and memory for it."""
        [lines] = arguments
        cost = sum(map(len, lines)) + _LINE_COST * len(lines)
        with self._freed:
            self._freed.wait_for(lambda: self._has_room(cost))
            future = self._threads.submit(self._run, function, lines, cost)
            self._running += 1
            self._running_bytes += cost
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)

    def _has_room(self, cost: int) -> bool:
        return not self._running or (self._running < _THREADS and self._running_bytes + cost <= _MAX_BYTES)

    def _run(self, function: Callable[..., T], lines: Sequence[bytes], cost: int) -> T:
        cut_bytes = 0
        try:
            segment: Any = function(lines)
            cut_bytes = len(segment.data)
            return segment  # type: ignore[no-any-return]
        finally:
            with self._freed:
                self._running -= 1
                self._running_bytes -= cost
                self._cut_bytes += cut_bytes
                self._freed.notify_all()
