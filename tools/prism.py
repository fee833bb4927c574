"""Build and run Prism, Beam's own local runner with real timers, from Beam's Go module.

`python -m tools.prism` builds it where it is missing and prints its path, for Beam's option `--prism_location`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path

from tools.go import GoProgram
from tools.processes import Server, accepts, free_ports, running

PRISM = GoProgram("Prism", "go/cmd/prism")
"""Two minutes to build."""

prism_binary = PRISM.binary


@dataclasses.dataclass(frozen=True)
class Prism:
    """A Prism server that answers.

    Attributes:
      job_endpoint: host and port of its job service.
      process: its own; None: somebody else's.
    """

    job_endpoint: str
    process: Server | None = None

    def options(self, *, streaming: bool = False) -> list[str]:
        """Return the options of a pipeline that shall run there, its workers in the process that submits it."""
        options = ["--runner=PrismRunner", f"--job_endpoint={self.job_endpoint}", "--environment_type=LOOPBACK"]
        return [*options, "--streaming"] if streaming else options


@contextlib.contextmanager
def prism_server(folder: Path) -> Iterator[Prism]:
    """Start a server, and kill it at the end, however that comes.

    A pipeline with `--prism_location` starts one of its own, which outlives a killed pipeline.

    Args:
      folder: for its log.

    Raises:
      RuntimeError: it can't be built, or did not come up.
    """
    (port,) = free_ports(1)
    command = [str(prism_binary()), f"--job_port={port}", "--serve_http=false", "--log_kind=text"]
    with running("Prism", command, folder / "prism.log") as server:
        server.wait_until(functools.partial(accepts, port))
        yield Prism(f"127.0.0.1:{port}", server)


if __name__ == "__main__":
    print(prism_binary())
