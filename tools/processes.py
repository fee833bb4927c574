"""Run servers on this machine for tests and demos: on free ports, with a log, and never longer than their parent."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_TAIL_LINES = 20
_POLL_SECONDS = 0.2


class MissingToolError(RuntimeError):
    """A program that must be installed is not; the message says how to get it."""


Which = Callable[[str], str | None]
"""What finds a program by its name, as `shutil.which` does."""


def find_program(name: str, way_out: str, which: Which = shutil.which) -> str:
    """Return the path of a program.

    Raises:
      MissingToolError: it is not installed.
    """
    found = which(name)
    if found is None:
        raise MissingToolError(f"{name} is not installed: {way_out}")
    return found


def free_ports(count: int, also: int = 0) -> list[int]:
    """Return ports that are free, each together with the port `also` above it."""
    with contextlib.ExitStack() as taken:
        ports: list[int] = []
        while len(ports) < count:
            port = random.randrange(20_000, 50_000)
            with contextlib.suppress(OSError):
                for number in {port, port + also}:
                    taken.enter_context(contextlib.closing(socket.create_server(("127.0.0.1", number))))
                ports.append(port)
        return ports


@dataclasses.dataclass(frozen=True)
class Server:
    """A process that was started, with all that it starts itself.

    Attributes:
      name: what messages call it.
      process: the first of its group.
      log: where the group's output goes.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: pathlib.Path

    def wait_until(
        self,
        attempt: Callable[[], object],
        not_yet: type[Exception] | tuple[type[Exception], ...] = OSError,
        seconds: float = 60.0,
    ) -> None:
        """Try until the attempt raises nothing.

        Raises:
          RuntimeError: the process ended, or the time did; the message shows the last lines of the log.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                attempt()
            except not_yet as exc:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("\n".join([f"{self.name} did not come up: {exc}", *self.last_lines()])) from exc
            else:
                return
            time.sleep(_POLL_SECONDS)

    def last_lines(self) -> list[str]:
        """Return the end of the log."""
        return self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]

    def kill(self) -> None:
        """Kill the whole group by SIGKILL, and wait for its first process."""
        # a group without members is gone; one whose first process ended may have others left
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def running(
    name: str,
    command: Sequence[str],
    log: pathlib.Path,
    litter: Iterable[pathlib.Path] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Start a process in a group of its own, and kill the group at the end, however that comes.

    Args:
      name: what messages call it.
      command: the program and its arguments.
      log: file for its output.
      litter: what else goes when this process ends without a word, as by SIGKILL.
      environment: variables in addition to those of this process.
    """
    with log.open("wb") as output, contextlib.ExitStack() as stack:
        # its own session: Ctrl-C reaches us, and we stop it
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        server = Server(name, process, log)
        stack.callback(server.kill)
        stack.callback(_stop_watcher, _watch(process, litter))
        yield server


def members_of(group: int) -> list[int]:
    """Return the ids of the processes in a group, without its first one."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        # it may end meanwhile
        with contextlib.suppress(OSError):
            if os.getpgid(pid := int(path.name)) == group != pid:
                found.append(pid)
    return found


def accepts(port: int) -> None:
    """Connect to a port of this machine once.

    Raises:
      OSError: nothing listens there.
    """
    socket.create_connection(("127.0.0.1", port), timeout=2).close()


def _watch(process: subprocess.Popen[bytes], litter: Iterable[pathlib.Path]) -> subprocess.Popen[bytes]:
    """Start a shell that cleans up when this process is killed, as by SIGKILL: its stdin closes then."""
    script = 'read -r _; kill -KILL "-$1"; shift; sleep 1; rm -rf "$@"'
    return subprocess.Popen(
        ["sh", "-c", script, "sh", str(process.pid), *map(str, litter)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _stop_watcher(watcher: subprocess.Popen[bytes]) -> None:
    watcher.kill()
    watcher.wait()
    if watcher.stdin is not None:
        watcher.stdin.close()
