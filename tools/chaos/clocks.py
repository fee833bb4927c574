"""Clocks that jump under a running program: it sees another time of day; monotonic time goes on as it is.

libfaketime does not fit: without monotonic time faked as well, `time.sleep` of Python 3.11 fails under it.
"""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

from tools.processes import find_program

_SOURCE = Path(__file__).with_name("clock.c")


class JumpingClock:
    """A clock whose time of day is set while programs read it.

    Args:
      folder: for its file and library.

    Raises:
      MissingToolError: there is no C compiler.
    """

    def __init__(self, folder: Path) -> None:
        self._library, self._file = folder / "clock.so", folder / "clock"
        if not self._library.exists():
            compiler = find_program(
                "cc", "clocks jump by a small library in C; install a compiler, as by apt-get install gcc"
            )
            subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", self._library, _SOURCE], check=True)
        self._file.write_bytes(bytes(8))

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a program that shall read it."""
        return {"LD_PRELOAD": str(self._library), "CHAOS_CLOCK": str(self._file)}

    def jump(self, seconds: float) -> None:
        """Set it so many whole seconds from the real time."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("=q", round(seconds)))
