"""The command lines of Spark's processes: what Java's modules must open for Spark, and where its jars are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tools.java import java_command, opened
from tools.maven import Jars

SPARK = Jars("spark", Path(__file__).with_name("pom.xml"))
"""Spark 3.5 and Beam's job server for it, 300 MB."""

_OPENED = (
    *(
        f"java.base/java.{part}"
        for part in (
            "io",
            "lang",
            "lang.invoke",
            "lang.reflect",
            "net",
            "nio",
            "util",
            "util.concurrent",
            "util.concurrent.atomic",
        )
    ),
    *(f"java.base/sun.{part}" for part in ("nio.ch", "nio.cs", "security.action", "util.calendar")),
)
"""Most of Spark's `JavaModuleOptions`, which its own start scripts give."""


def spark_command(folder: Path, flags: Sequence[str], main: str, arguments: Sequence[str]) -> list[str]:
    """Return the command of one process; its arguments are those of `java_command`."""
    return java_command(SPARK.folder(), folder, [*flags, *opened(_OPENED)], main, arguments)


def spark_home(folder: Path) -> Path:
    """Make a folder where Spark's workers find the jars of their executors, and return it."""
    home = folder / "home"
    home.mkdir()
    (home / "jars").symlink_to(SPARK.folder())
    return home


if __name__ == "__main__":
    print(SPARK.folder())
