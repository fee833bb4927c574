"""Print how fast a run is verified: `python -m tools.bench.verifying`; alone, and compared with its input.

The command runs as its users run it, in a process of its own, against a real server. The second measure includes the
import of Beam, whose readers read the input.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from tools.bench.data import make_lines
from tools.bench.goals import Line, report
from tools.bench.measure import CACHE, use
from tools.seaweedfs import seaweedfs

RECORDS = 1_200_000
GOAL_MB = 200
"""Megabytes of raw JSON a second, on two cores."""

ROUNDS = 3


def main() -> None:
    """Measure and print."""
    CACHE.mkdir(parents=True, exist_ok=True)
    path = make_lines(CACHE / f"flights-{RECORDS}.jsonl", RECORDS)
    with seaweedfs("bench") as server:
        use(server)
        destination = f"s3://{server.bucket}/verify"
        fields = ("--domain_field=carrier", "--namespace_field=origin", "--max_object_bytes=8MiB", "--quiet")
        _run("pack", destination, f"--input={path}", *fields)
        lines = [
            *_measure("verify", destination, goal=GOAL_MB),
            *_measure("verify --source", destination, f"--source={path}"),
        ]
    report("verifying", lines)


def _measure(name: str, *arguments: str, goal: float | None = None) -> Iterator[Line]:
    found = [_run("verify", *arguments, "--json") for _ in range(ROUNDS)]
    speeds = [one["raw_bytes"] / one["seconds"] / 1e6 for one in found]
    yield Line(f"{name}, MB of raw JSON a second", speeds, goal, at_least=True)
    yield Line(f"{name}, peak MB", [one["peak_bytes"] / 1e6 for one in found])


_PROGRAM = (
    "import sys; from beam_s3box.cli.main import main; from tools.bench.measure import peak_bytes; "
    "code = main(sys.argv[1:]); print(peak_bytes(), file=sys.stderr); sys.exit(code)"
)


def _run(*command: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", _PROGRAM, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout}{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout or "{}")
    return result | {"peak_bytes": int(done.stderr.split()[-1])}


if __name__ == "__main__":
    main()
