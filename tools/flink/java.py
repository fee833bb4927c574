"""The command lines of Flink's processes: which Java, and what its modules must open for Flink."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.processes import Which, find_program

_WAY_OUT = "Flink 1.19 runs on Java 11 or 17; install one, as by apt-get install openjdk-17-jre-headless"

_EXPORTED = (
    "java.base/sun.net.util",
    "java.rmi/sun.rmi.registry",
    "java.security.jgss/sun.security.krb5",
    *(f"jdk.compiler/com.sun.tools.javac.{part}" for part in ("api", "file", "parser", "tree", "util")),
)
_OPENED = (
    "java.base/sun.nio.ch",
    *(
        f"java.base/java.{part}"
        for part in (
            "io",
            "lang",
            "lang.reflect",
            "net",
            "nio",
            "text",
            "time",
            "util",
            "util.concurrent",
            "util.concurrent.atomic",
            "util.concurrent.locks",
        )
    ),
)
"""What the `flink-conf.yaml` of Flink 1.19 gives as `env.java.opts.all`: without it Java 17 refuses reflection."""


def find_java(which: Which = shutil.which, environment: Mapping[str, str] = os.environ) -> str:
    """Return the path of `java`: of `$JAVA_HOME` if that is set, else of the PATH.

    Raises:
      MissingToolError: it is not installed.
    """
    home = environment.get("JAVA_HOME")
    return find_program(str(Path(home, "bin", "java")) if home else "java", _WAY_OUT, which)


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
        *(f"--add-exports={name}=ALL-UNNAMED" for name in _EXPORTED),
        *(f"--add-opens={name}=ALL-UNNAMED" for name in _OPENED),
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
