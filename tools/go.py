"""Programs of Beam's that are written in Go, built once in the version of the Beam that is installed."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import os
import shutil
import subprocess
from pathlib import Path

from tools.cache import cache_folder, made_once
from tools.processes import Which, find_program

_BEAM = "github.com/apache/beam/sdks/v2"


@dataclasses.dataclass(frozen=True)
class GoProgram:
    """A program of Beam's Go module.

    Attributes:
      name: begins the name of its folder in the cache.
      package: below Beam's module; its last part is the name of the binary.
    """

    name: str
    package: str

    def is_built(self) -> bool:
        """Return whether it is in the cache."""
        return self._folder().is_dir()

    def is_available(self, which: Which = shutil.which) -> bool:
        """Return whether it is in the cache, or could be built: nothing is."""
        return self.is_built() or which("go") is not None

    def binary(self, which: Which = shutil.which) -> Path:
        """Return its path, built when it is not in the cache.

        Raises:
          MissingToolError: Go is not installed.
          RuntimeError: the build failed; the message shows why.
        """
        return made_once(self._folder(), functools.partial(self._build, which=which)) / self.package.rpartition("/")[2]

    def _folder(self) -> Path:
        return cache_folder() / f"{self.name.lower()}-{_version()}"

    def _build(self, folder: Path, which: Which) -> None:
        way_out = (
            f"{self.name} is built with Go; install Go 1.26 or newer from https://go.dev/doc/install and put its bin "
            "on the PATH"
        )
        command = [find_program("go", way_out, which), "install", f"{_BEAM}/{self.package}@v{_version()}"]
        # in an empty folder no go.mod of a caller's takes part
        built = subprocess.run(
            command, cwd=folder, env={**os.environ, "GOBIN": str(folder)}, capture_output=True, text=True, check=False
        )
        if built.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{built.stderr[-2000:]}")


def _version() -> str:
    return importlib.metadata.version("apache-beam")
