"""The jars of Flink and of Beam's job server for it: Maven downloads them once, `pom.xml` says which.

`python -m tools.flink.jars` downloads them where they are missing and prints their folder.
"""

from __future__ import annotations

import functools
import hashlib
import shutil
import subprocess
from pathlib import Path

from tools.cache import cache_folder, made_once
from tools.processes import Which, find_program

_POM = Path(__file__).with_name("pom.xml")
_MAVEN_WAY_OUT = "Flink's jars are downloaded with Maven; install it, as by apt-get install maven"


def jars_are_there() -> bool:
    """Return whether the jars are in the cache."""
    return _folder().is_dir()


def flink_jars(which: Which = shutil.which) -> Path:
    """Return the folder of the jars, downloaded (150 MB) when they are not in the cache.

    Raises:
      MissingToolError: Maven is not installed.
      RuntimeError: the download failed; the message shows why.
    """
    return made_once(_folder(), functools.partial(_download, which=which))


def _folder() -> Path:
    return cache_folder() / f"flink-{hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]}"


def _download(folder: Path, which: Which) -> None:
    command = [
        find_program("mvn", _MAVEN_WAY_OUT, which),
        "--quiet",
        "--batch-mode",
        f"--file={_POM}",
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        f"-DoutputDirectory={folder}",
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}")


if __name__ == "__main__":
    print(flink_jars())
