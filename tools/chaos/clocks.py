"""Clocks that jump under a running program: libfaketime tells it another time of day; monotonic time goes on as it is."""

from __future__ import annotations

import dataclasses
import glob
from pathlib import Path

from tools.processes import MissingToolError

_LIBRARIES = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/local/lib/faketime/libfaketime.so.1")


@dataclasses.dataclass(frozen=True)
class JumpingClock:
    """A clock whose time of day is set while programs read it.

    Attributes:
      file: says how far it is from the real time.
      library: libfaketime's.
    """

    file: Path
    library: str

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a program that shall read it."""
        return {
            "LD_PRELOAD": self.library,
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, seconds: float) -> None:
        """Set it so many seconds from the real time."""
        partial = self.file.with_suffix(".partial")
        partial.write_text(f"{seconds:+.3f}\n")
        partial.rename(self.file)


def find_libfaketime() -> str:
    """Return the path of the library.

    Raises:
      MissingToolError: it is not installed.
    """
    for pattern in _LIBRARIES:
        for found in glob.glob(pattern):
            return found
    raise MissingToolError("clocks jump by libfaketime, which is not installed: apt-get install faketime")
