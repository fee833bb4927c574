"""The command lines of Flink's processes: what Java's modules must open for Flink."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tools.java import java_command, opened

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
"""What the `flink-conf.yaml` of Flink 1.19 gives as `env.java.opts.all`."""


def flink_command(jars: Path, folder: Path, flags: Sequence[str], main: str, arguments: Sequence[str]) -> list[str]:
    """Return the command of one process; its arguments are those of `java_command`."""
    modules = [*(f"--add-exports={name}=ALL-UNNAMED" for name in _EXPORTED), *opened(_OPENED)]
    return java_command(jars, folder, [*flags, *modules], main, arguments)
