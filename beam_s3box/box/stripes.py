"""Where the lines of a box wait first: apart for each thread, so that threads that pack seldom meet."""

from __future__ import annotations

import threading
from collections.abc import Iterator


class Stripe:
    """Lines of some threads, guarded by a lock of its own: threads that pack seldom meet at the packer's."""

    __slots__ = ("bytes", "lines", "lock")

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.bytes = 0
        self.renew()

    def renew(self) -> None:
        """Take a new lock."""
        self.lock = threading.RLock()

    def take(self) -> list[bytes]:
        """Return the lines, and hold none."""
        with self.lock:
            lines, self.lines, self.bytes = self.lines, [], 0
        return lines

    def size(self) -> tuple[int, int]:
        """Return how many lines there are, and the bytes of their text."""
        with self.lock:
            return len(self.lines), sum(map(len, self.lines))


class Stripes(threading.local):
    """The stripe of each thread: always the same one, so that a thread's lines keep their order."""

    def __init__(self, stripes: Iterator[Stripe]) -> None:
        self.mine = next(stripes)
