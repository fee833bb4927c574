"""What worker processes of a backfill cost, and how evenly they share: `python -m tools.bench.cores [RECORDS] [PAIRS]`.

A backfill by one process and one by as many as there are cores, in turn; each as a whole process tree, into a folder.
Goals: at most 1.1 x the processor time of one process, and each within 20 % of the mean of what they read.
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
from tools.bench.measure import CACHE, json_of

MOST_COST: Final = 1.1
MOST_OFF: Final = 0.2
_UNITS: Final = {"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9}


def main(records: int = 3_360_000, pairs: int = 3) -> None:
    """Measure and print."""
    CACHE.mkdir(parents=True, exist_ok=True)
    path, workers = make_lines(CACHE / f"flights-{records}.jsonl", records), max(2, os.cpu_count() or 2)
    runs = [(_run(path, workers), _run(path, 1)) for _ in range(pairs)]
    for name in ("cpu", "seconds"):
        ratios = sorted(many[name] / one[name] for many, one in runs)
        median, goal = statistics.median(ratios), f"; goal <= {MOST_COST}" if name == "cpu" else ""
        what = "processor time" if name == "cpu" else "wall time"
        print(f"{what}, {workers} workers : one process: {median:.2f} ({ratios[0]:.2f} - {ratios[-1]:.2f}){goal}")
    off = max(abs(size / statistics.mean(many["read"]) - 1) for many, _ in runs for size in many["read"])
    print(f"a worker read at most {off:.0%} more or less than the mean; goal <= {MOST_OFF:.0%}")
    print(f"peak of a process: {max(many['peak_bytes'] for many, _ in runs) / 1e6:.0f} MB")


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
