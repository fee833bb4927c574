"""Where the lines of a box wait first: separately for each thread, so that threads seldom wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Iterator


class Stripe:
    """Lines of some threads, guarded by its own lock; the packer's lock is taken once a batch."""

    __slots__ = ("bytes", "lines", "lock")

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.bytes = 0
        self.renew()

    def renew(self) -> None:
        """Replace the lock."""
        self.lock = threading.RLock()

    def take(self) -> list[bytes]:
        """Return the lines, and keep none."""
        with self.lock:
            lines, self.lines, self.bytes = self.lines, [], 0
        return lines

    def size(self) -> tuple[int, int]:
        """Return the number of lines, and the bytes of their text."""
        with self.lock:
            return len(self.lines), sum(map(len, self.lines))


class Stripes(threading.local):
    """The stripe of each thread: always the same one, so that the lines of a thread keep their order."""

    def __init__(self, stripes: Iterator[Stripe]) -> None:
        self.mine = next(stripes)
