"""Threads that compress the segments of one box: few at a time, so that what waits for them is small."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

T = TypeVar("T")

_THREADS: Final = 2
"""Also the segments that are being compressed at a time: zlib-ng is faster than one Python thread that feeds it."""


class BoxCodec(Executor):
    """Runs `Format.cut`; a call waits for a free thread, and so for memory."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "beam_s3box-box-codec")
        self._free = threading.BoundedSemaphore(_THREADS)
        self._lock = threading.Lock()
        self._cut_bytes = 0

    @property
    def cut_bytes(self) -> int:
        """Bytes of all segments cut so far."""
        with self._lock:
            return self._cut_bytes

    def submit(self, function: Callable[..., T], /, *arguments: Any, **named: Any) -> Future[T]:
        """Run a function that returns a segment, when a thread is free."""
        self._free.acquire()
        try:
            return self._threads.submit(self._run, function, *arguments, **named)
        except BaseException:
            self._free.release()
            raise

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)

    def _run(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        try:
            segment: Any = function(*arguments, **named)
            with self._lock:
                self._cut_bytes += len(segment.data)
            return segment  # type: ignore[no-any-return]
        finally:
            self._free.release()
