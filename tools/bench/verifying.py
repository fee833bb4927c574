"""Print how fast a run is verified: `python -m tools.bench.verifying`; alone, and compared with its input.

The command runs as its users run it, in a process of its own, against a real server. The second measure includes the
import of Beam, whose readers read the input.
"""

from __future__ import annotations

import json
import pathlib
import statistics
import subprocess
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from tools.bench.data import make_lines
from tools.bench.measure import CACHE, machine, use
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
        rows = [
            _measure("verify", destination),
            _measure("verify --source", destination, f"--source={path}"),
        ]
    (CACHE / "verify.json").write_text(json.dumps(rows) + "\n")
    table = Table(
        "", "MB/s of raw JSON", "seconds", "peak MB", title=f"{machine()}; SeaweedFS; {_size_of(path):.0f} MB"
    )
    for row in rows:
        seconds = (f"{row['seconds']:.1f}", f"{row['processor_seconds']:.1f}")
        table.add_row(row["name"], f"{row['mb_a_second']:.0f}", *seconds, f"{row['peak_mb']:.0f}")
    Console(width=110).print(table)
    Console(width=110).print(f"goal: verify at {GOAL_MB} MB/s")


def _measure(name: str, *arguments: str) -> dict[str, Any]:
    found = [_run("verify", *arguments, "--json") for _ in range(ROUNDS)]
    seconds = statistics.median(one["seconds"] for one in found)
    return {
        "name": name,
        "seconds": seconds,
        "mb_a_second": found[0]["raw_bytes"] / seconds / 1e6,
        "processor_seconds": statistics.median(one["processor_seconds"] for one in found),
        "peak_mb": max(one["peak_bytes"] for one in found) / 1e6,
    }


_PROGRAM = (
    "import sys, time; from beam_s3box.cli.main import main; from tools.bench.measure import peak_bytes; "
    "code = main(sys.argv[1:]); print(time.process_time(), peak_bytes(), file=sys.stderr); sys.exit(code)"
)


def _run(*command: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", _PROGRAM, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout}{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout or "{}")
    *_, processor_seconds, peak = done.stderr.split()
    return result | {"processor_seconds": float(processor_seconds), "peak_bytes": int(peak)}


def _size_of(path: pathlib.Path) -> float:
    return path.stat().st_size / 1e6


if __name__ == "__main__":
    main()
