"""Jars of servers that are written in Java: Maven downloads them once, a `pom.xml` says which."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import shutil
import subprocess
from pathlib import Path

from tools.cache import cache_folder, made_once
from tools.processes import Which, find_program

_WAY_OUT = "jars are downloaded with Maven; install it, as by apt-get install maven"


@dataclasses.dataclass(frozen=True)
class Jars:
    """The jars that a POM names, with all that they depend on.

    Attributes:
      name: begins the name of their folder in the cache.
      pom: path of the POM.
    """

    name: str
    pom: Path

    def are_there(self) -> bool:
        """Return whether they are in the cache."""
        return self._path().is_dir()

    def folder(self, which: Which = shutil.which) -> Path:
        """Return their folder, downloaded when it is not in the cache.

        Raises:
          MissingToolError: Maven is not installed.
          RuntimeError: the download failed; the message shows why.
        """
        return made_once(self._path(), functools.partial(self._download, which=which))

    def _path(self) -> Path:
        return cache_folder() / f"{self.name}-{hashlib.sha256(self.pom.read_bytes()).hexdigest()[:12]}"

    def _download(self, folder: Path, which: Which) -> None:
        command = [
            find_program("mvn", _WAY_OUT, which),
            "--quiet",
            "--batch-mode",
            f"--file={self.pom}",
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            f"-DoutputDirectory={folder}",
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}")
