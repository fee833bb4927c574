"""The jars of Flink 1.19 and of Beam's job server for it, in two versions of Beam.

`python -m tools.flink.jars` downloads those where they are missing and prints their folders.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from tools.maven import Jars

Beam: TypeAlias = Literal["2.62", "2.70"]
"""Versions of Beam's runner for Flink: what many clusters have, and the newest that Maven Central has."""

NEWEST: Beam = "2.70"
FLINK: dict[Beam, Jars] = {
    version: Jars("flink", Path(__file__).with_name(f"beam-{version}.xml")) for version in ("2.62", "2.70")
}
"""About 150 MB each."""

if __name__ == "__main__":
    for jars in FLINK.values():
        print(jars.folder())
