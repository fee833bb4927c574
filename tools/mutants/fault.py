"""A seeded fault: one text of one file in the place of another."""

from __future__ import annotations

import dataclasses
import pathlib


class StaleFaultError(Exception):
    """The text that a fault replaces is no longer there, or there more than once."""


@dataclasses.dataclass(frozen=True)
class Fault:
    """A change that breaks a promise.

    Attributes:
      name: a few words.
      promise: what it breaks.
      file: the file that is changed, below the root of the repository.
      old: a text that occurs there once.
      new: what takes its place.
      tests: arguments of pytest; with each of them a test fails.
    """

    name: str
    promise: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def changed(self, root: pathlib.Path) -> str:
        """Return the content of the file with the fault.

        Raises:
          StaleFaultError: the text does not occur exactly once.
        """
        text = (root / self.file).read_text("utf-8")
        if text.count(self.old) != 1:
            raise StaleFaultError(
                f"{self.name}: {self.file} has the text {self.old!r} {text.count(self.old)} times, not once: change "
                "the fault with the code, so that it still breaks its promise"
            )
        return text.replace(self.old, self.new)
