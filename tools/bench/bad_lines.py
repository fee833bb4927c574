"""Input that is bad altogether, compared with good input of the same size: time and memory of `pack` and the backfill.

`python -m tools.bench.bad_lines [MB]` prints a line each; goals: at most 3 x the time, and no more memory.
"""

from __future__ import annotations

import pathlib
import sys
import tempfile
from typing import Final

from tools.bench.measure import json_of

MB: Final = 1 << 20
KINDS: Final = {
    "good": b'{"d":"a","n":1234567890,"text":"some words of no great wit..."}\n',
    "not JSON": b"this is no json at all, and never was, not even a bit of it....\n",
    "no field": b'{"e":"a","n":1234567890,"text":"some words of no great wit..."}\n',
    "an array": b'["a",1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9]\n',
    "not UTF-8": b'{"d":"a","n":1234567890,"text":"some words of no \xff great wit."}\n',
    "too long": b'{"d":"a","text":"%b"}\n' % (b"x" * 70_000),
}
MEASURED: Final = """
import json, resource, subprocess, sys, time
begun = time.perf_counter()
subprocess.run([sys.executable, "-m", "beam_s3box", *sys.argv[1:]], capture_output=True, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
seconds, cpu = time.perf_counter() - begun, used.ru_utime + used.ru_stime
print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mb": used.ru_maxrss // 1024}))
"""


def main(size: int = 120) -> None:
    """Measure and print."""
    for command in ("pack", "backfill"):
        good = _measured(command, "good", size)
        for kind in KINDS:
            found = _measured(command, kind, size) if kind != "good" else good
            times = {name: f"{found[name]:5.1f} s, x {found[name] / good[name]:.1f}" for name in ("seconds", "cpu")}
            print(
                f"{command:8} {size} MB of {kind:9}: {times['seconds']}; processor {times['cpu']}; "
                f"peak {found['peak_mb']} MB",
                flush=True,
            )


def _measured(command: str, kind: str, size: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "in.jsonl")
        line = KINDS[kind]
        block = line * (MB // len(line))
        with path.open("wb") as file:
            for _ in range(size):
                file.write(block)
        place = [f"{folder}/out"] if command == "pack" else [f"--destination={folder}/out"]
        options = [f"--input={path}", "--domain_field=d", "--namespace=n", "--max_dead_letters=100%"]
        return json_of([sys.executable, "-c", MEASURED, command, *place, *options])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
