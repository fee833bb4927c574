"""What is wrong: all of it is counted, and the first are kept."""

from __future__ import annotations

from typing import Final, NamedTuple

MAX_KEPT: Final = 1_000
"""Problems that are kept, so that a run of which everything is gone takes no more memory than another one."""


class Problem(NamedTuple):
    """One thing that is wrong.

    Attributes:
      url: of the object, or of what it is about.
      fault: what is wrong with it, as the rest of a sentence that begins with the URL.
    """

    url: str
    fault: str

    def __str__(self) -> str:
        return f"{self.url} {self.fault}"


class Problems:
    """Collects problems. For one thread.

    Attributes:
      count: how many there are.
      first: those that were found first.
    """

    def __init__(self) -> None:
        self.count = 0
        self.first: list[Problem] = []

    def __bool__(self) -> bool:
        return self.count > 0

    def add(self, url: str, fault: str) -> None:
        """Add a problem."""
        self.count += 1
        if len(self.first) < MAX_KEPT:
            self.first.append(Problem(url, fault))
