"""The command lines of servers that are written in Java: which Java, its class path, and what its modules open."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tools.processes import Which, find_program

_WAY_OUT = "Flink 1.19 and Spark 3.5 run on Java 11 or 17; install one, as by apt-get install openjdk-17-jre-headless"


def find_java(which: Which = shutil.which, environment: Mapping[str, str] = os.environ) -> str:
    """Return the path of `java`: of `$JAVA_HOME` if that is set, else of the PATH.

    Raises:
      MissingToolError: it is not installed.
    """
    home = environment.get("JAVA_HOME")
    return find_program(str(Path(home, "bin", "java")) if home else "java", _WAY_OUT, which)


def opened(names: Iterable[str]) -> list[str]:
    """Return the flags that open packages such as `java.base/java.util` to reflection, which Java 17 refuses."""
    return [f"--add-opens={name}=ALL-UNNAMED" for name in names]


def java_command(jars: Path, folder: Path, flags: Sequence[str], main: str, arguments: Sequence[str]) -> list[str]:
    """Return the command of one process.

    Args:
      jars: folder of the class path.
      folder: for what it leaves in a temporary folder.
      flags: of the virtual machine, as its memory.
      main: the class to run.
      arguments: of the class.
    """
    return [
        find_java(),
        *flags,
        f"-Djava.io.tmpdir={folder}",
        # a killed process would leave its counters in /tmp
        "-XX:-UsePerfData",
        "-XX:+UseSerialGC",
        # the second compiler would take a core for the first half minute, which is most of a test
        "-XX:TieredStopAtLevel=1",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
        "-cp",
        f"{jars}/*",
        main,
        *arguments,
    ]
