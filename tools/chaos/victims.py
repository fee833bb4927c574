"""Programs that are started to be killed, stopped and deceived."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_POLL_SECONDS = 0.02


class Victim:
    """A program with all that it starts, in a process group of its own.

    Args:
      command: it and its arguments.
      environment: all its variables.
      log: gets what it says.
      stdin: what it reads; None: nothing.
      stdout: as in `subprocess`; None: the log.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        stdin: Path | None = None,
        stdout: int | None = None,
    ) -> None:
        with log.open("ab") as said, (stdin or Path(os.devnull)).open("rb") as given:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=dict(environment),
                stdin=given,
                stdout=said if stdout is None else stdout,
                stderr=said,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill all of it by SIGKILL."""
        self._signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Let it stand still, in the midst of whatever it does."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Wake it."""
        self._signal(signal.SIGCONT)

    def fill_disk(self, bytes_left: int) -> None:
        """Let no file grow beyond so many bytes, as a full disk does."""
        self._limit_files(bytes_left)

    def free_disk(self) -> None:
        """Take the limit away."""
        self._limit_files(resource.RLIM_INFINITY)

    def wait(self, seconds: float) -> int | None:
        """Return its exit code, or None if it has not ended by then."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds)
        return None

    def wait_for(self, event: threading.Event, seconds: float) -> bool:
        """Wait for an event, so many seconds at most or until the program ends; return whether it came."""
        deadline = time.monotonic() + seconds
        while not event.is_set():
            if self.process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def _limit_files(self, size: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, hard))
