"""Build and run Prism, Beam's own local runner with real timers, from Beam's Go module.

`python -m tools.prism` builds it where it is missing and prints its path, for Beam's option `--prism_location`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.metadata
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tools.cache import cache_folder, made_once
from tools.processes import Which, accepts, find_program, free_ports, running

_MODULE = "github.com/apache/beam/sdks/v2/go/cmd/prism"
_WAY_OUT = (
    "Prism is built with Go; install Go 1.26 or newer from https://go.dev/doc/install and put its bin on the PATH"
)


@dataclasses.dataclass(frozen=True)
class Prism:
    """A Prism server that answers.

    Attributes:
      job_endpoint: host and port of its job service.
    """

    job_endpoint: str

    def options(self, *, streaming: bool = False) -> list[str]:
        """Return the options of a pipeline that shall run there, its workers in the process that submits it."""
        options = ["--runner=PrismRunner", f"--job_endpoint={self.job_endpoint}", "--environment_type=LOOPBACK"]
        return [*options, "--streaming"] if streaming else options


def prism_is_built() -> bool:
    """Return whether the binary is in the cache."""
    return _folder().is_dir()


def prism_is_available(which: Which = shutil.which) -> bool:
    """Return whether the binary is in the cache, or could be built: nothing is."""
    return prism_is_built() or which("go") is not None


def prism_binary(which: Which = shutil.which) -> Path:
    """Return the path of the binary, built in two minutes when it is not in the cache.

    Raises:
      MissingToolError: Go is not installed.
      RuntimeError: the build failed; the message shows why.
    """
    return made_once(_folder(), functools.partial(_build, which=which)) / "prism"


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
        yield Prism(f"127.0.0.1:{port}")


def _folder() -> Path:
    return cache_folder() / f"prism-{_version()}"


def _version() -> str:
    return importlib.metadata.version("apache-beam")


def _build(folder: Path, which: Which) -> None:
    command = [find_program("go", _WAY_OUT, which), "install", f"{_MODULE}@v{_version()}"]
    # in an empty folder no go.mod of a caller's takes part
    built = subprocess.run(
        command, cwd=folder, env={**os.environ, "GOBIN": str(folder)}, capture_output=True, text=True, check=False
    )
    if built.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{built.stderr[-2000:]}")


if __name__ == "__main__":
    print(prism_binary())
