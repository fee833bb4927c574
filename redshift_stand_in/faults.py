"""The statements of clients, and connections that are dropped on purpose."""

from __future__ import annotations

import threading
from typing import Literal, NamedTuple

When = Literal["before", "after"]
_COMMIT = ("COMMIT", "END")


class Seen(NamedTuple):
    """A statement that was executed for a client.

    Attributes:
      session: number of the session, from 1.
      number: number of the statement in the session, from 1; cuts count by it.
      verb: its first word, in upper case.
      sql: as the client sent it.
    """

    session: int
    number: int
    verb: str
    sql: str


class Cut(NamedTuple):
    """A connection to drop.

    Attributes:
      when: before the statement is executed, or after: it is executed, and its response lost.
      number: number of the statement in its session; None for COMMIT, whatever its number.
    """

    when: When
    number: int | None


class Faults:
    """The log, and the cuts that wait for their statement; each happens once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: list[Seen] = []
        self._cuts: list[Cut] = []

    @property
    def seen(self) -> list[Seen]:
        """The statements that were executed so far, in order."""
        with self._lock:
            return list(self._seen)

    @property
    def waiting(self) -> list[Cut]:
        """Cuts that have not happened yet."""
        with self._lock:
            return list(self._cuts)

    def arm(self, cut: Cut) -> None:
        """Wait for a statement."""
        with self._lock:
            self._cuts.append(cut)

    def clear(self) -> None:
        """Forget the log and the cuts that have not happened."""
        with self._lock:
            self._seen.clear()
            self._cuts.clear()

    def note(self, seen: Seen) -> None:
        """Add a statement to the log."""
        with self._lock:
            self._seen.append(seen)

    def due(self, when: When, seen: Seen) -> bool:
        """Return whether the connection is to be dropped now."""
        with self._lock:
            for cut in self._cuts:
                reached = seen.verb in _COMMIT if cut.number is None else seen.number == cut.number
                if cut.when == when and reached:
                    self._cuts.remove(cut)
                    return True
        return False
