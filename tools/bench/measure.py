"""What all benches measure with: processes of their own that print JSON, their peak memory, a word on the machine."""

from __future__ import annotations

import json
import os
import pathlib
import platform
import resource
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    # importing it takes memory, which is measured
    from tools.seaweedfs import Server

CACHE = pathlib.Path(__file__).parents[2] / ".cache" / "bench"
"""Data and results."""


class Whole(NamedTuple):
    """What a whole process took.

    Attributes:
      seconds: from its start to its end.
      processor: seconds of processor time, of its children too.
      peak_mb: the most memory.
    """

    seconds: float
    processor: float
    peak_mb: float


def whole_process(command: list[str]) -> Whole:
    """Run a command and return what it took, with its modules compiled before, as those of an installed package are.

    Raises:
      RuntimeError: the command failed; the message shows the end of what it said.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(CACHE / "pyc")
    with tempfile.TemporaryFile() as said:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(command)} exited with {process.returncode}:\n{said.read()[-3000:].decode()}")
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Whole(seconds, used.ru_utime + used.ru_stime, peak / 1e6)


def json_of(command: list[str]) -> dict[str, Any]:
    """Return the JSON object in the last line that a command prints.

    Raises:
      RuntimeError: the command failed; the message shows the end of what it said.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} exited with {done.returncode}:\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def peak_bytes(who: int = resource.RUSAGE_SELF) -> int:
    """Return the most memory that this process has used, or the largest of its children that ended."""
    # Linux counts in KiB
    return resource.getrusage(who).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def machine() -> str:
    """Return what the numbers depend on."""
    system = f"{platform.system()} {platform.machine()}"
    return f"{os.cpu_count()} cores, {system}, Python {platform.python_version()}"


def use(server: Server) -> None:
    """Let the processes that this one starts find the S3 server."""
    os.environ.update(
        AWS_ENDPOINT_URL_S3=server.endpoint_url,
        AWS_ACCESS_KEY_ID=server.admin.access_key,
        AWS_SECRET_ACCESS_KEY=server.admin.secret_key,
        AWS_DEFAULT_REGION="us-east-1",
    )
