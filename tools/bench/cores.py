"""What worker processes of a backfill cost, and how evenly they share: `python -m tools.bench.cores [RECORDS] [PAIRS]`.

A backfill by one process and one by as many as there are cores, in turn; each as a whole process tree, into a folder.
"""

from __future__ import annotations

import os
import pathlib
import re
import statistics
import sys
import tempfile
from typing import Any, Final

from tools.bench.data import make_lines
from tools.bench.goals import Line, report
from tools.bench.measure import CACHE, json_of

MOST_COST: Final = 1.1
MOST_READ: Final = 1.2
_UNITS: Final = {"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9}


def main(records: int = 3_360_000, pairs: int = 3) -> None:
    """Measure and print."""
    CACHE.mkdir(parents=True, exist_ok=True)
    path, workers = make_lines(CACHE / f"flights-{records}.jsonl", records), max(2, os.cpu_count() or 2)
    runs = [(_run(path, workers), _run(path, 1)) for _ in range(pairs)]
    name = f"backfill, {workers} workers : one process"
    report(
        "cores",
        [
            Line(f"{name}, processor time", [many["cpu"] / one["cpu"] for many, one in runs], MOST_COST),
            Line(f"{name}, wall time", [many["seconds"] / one["seconds"] for many, one in runs]),
            Line("the worker that reads most : the mean", [_most(many["read"]) for many, _ in runs], MOST_READ),
            Line("peak MB of the largest process", [many["peak_bytes"] / 1e6 for many, _ in runs]),
        ],
    )


def _most(read: list[float]) -> float:
    return max(read) / statistics.mean(read)


def _run(path: pathlib.Path, workers: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        options = ["--domain_field=carrier", "--namespace_field=origin", f"--workers={workers}"]
        command = [
            sys.executable,
            "-m",
            "beam_s3box",
            "backfill",
            f"--input={path}",
            f"--destination={folder}",
            *options,
        ]
        messages = pathlib.Path(folder, "messages")
        script = f'exec "$@" 2>"{messages}"'
        used = json_of([sys.executable, "-m", "tools.bench.tree", "sh", "-c", script, "sh", *command])
        found = re.search(r"worker processes read (.*)", messages.read_text())
        return used | {"read": [_bytes_of(size) for size in found[1].split(", ")] if found else []}


def _bytes_of(text: str) -> float:
    number, unit = text.split()
    return float(number) * _UNITS[unit]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
