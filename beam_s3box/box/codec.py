"""Threads that compress the segments of one box: few at a time, so that little memory waits for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from beam_s3box.sizes import LINE_COST, MiB
from beam_s3box.system.threads import Task, Threads

T = TypeVar("T")

_THREADS: Final = 4
"""More than cores: next to a busy Python thread each waits most of its time for the interpreter, not for a core."""

_MAX_BYTES: Final = 24 * MiB
"""Memory of the lines that are being compressed; with short lines most of it is not their text."""


class BoxCodec:
    """Runs `Format.cut`. It never waits: call `has_room` first.

    Args:
      changed: called when a segment has been compressed.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._threads = Threads(_THREADS, "beam_s3box-box-codec")
        self._changed = changed
        self._lock = threading.Lock()
        self._running = 0
        self._running_bytes = 0
        self._cut_bytes = 0

    @property
    def cut_bytes(self) -> int:
        """Bytes of all segments so far."""
        return self._cut_bytes

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being compressed."""
        return not self._running

    def has_room(self, open_bytes: int) -> bool:
        """Return whether there are a thread and memory for lines of this many bytes."""
        return self.is_idle or (self._running < _THREADS and self._running_bytes + open_bytes <= _MAX_BYTES)

    def submit(self, function: Callable[..., T], /, *arguments: Any) -> Task[T]:
        """Run a function that turns lines, and their number, into their segment."""
        lines, records = arguments
        cost = sum(map(len, lines)) + LINE_COST * len(lines)
        with self._lock:
            self._running += 1
            self._running_bytes += cost
        return self._threads.submit(self._run, function, lines, records, cost)

    def wake(self) -> None:
        """Make sure that threads compress the waiting lines."""
        self._threads.wake()

    def _run(self, function: Callable[..., T], lines: Sequence[bytes], records: int, cost: int) -> T:
        cut_bytes = 0
        try:
            segment: Any = function(lines, records)
            cut_bytes = len(segment.data)
            return segment  # type: ignore[no-any-return]
        finally:
            with self._lock:
                self._running -= 1
                self._running_bytes -= cost
                self._cut_bytes += cut_bytes
            self._changed()
