"""Input that is bad altogether, compared with good input of the same size: time and memory of `pack` and the backfill.

`python -m tools.bench.bad_lines [MB]` prints a line each, of whole processes. Goals: at most 3 x the time, and no more
than 1.1 x the memory.
"""

from __future__ import annotations

import pathlib
import sys
import tempfile
from typing import Final

from tools.bench.measure import Whole, whole_process

MB: Final = 1 << 20
MOST_TIME: Final = 3.0
MOST_MEMORY: Final = 1.1
KINDS: Final = {
    "good": b'{"d":"a","n":1234567890,"text":"some words of no great wit..."}\n',
    "not JSON": b"this is no json at all, and never was, not even a bit of it....\n",
    "no field": b'{"e":"a","n":1234567890,"text":"some words of no great wit..."}\n',
    "an array": b'["a",1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9]\n',
    "not UTF-8": b'{"d":"a","n":1234567890,"text":"some words of no \xff great wit."}\n',
    "too long": b'{"d":"a","text":"%b"}\n' % (b"x" * 70_000),
}


def main(size: int = 120) -> None:
    """Measure and print."""
    for command in ("pack", "backfill"):
        _measured(command, "not JSON", 0)  # compiles what the others import
        good = _measured(command, "good", size)
        print(f"{command:8} {size} MB of good lines: {good.seconds:.1f} s; {good.processor:.1f} s of processor time")
        for kind in KINDS:
            if kind != "good":
                print(_line(command, kind, good, _measured(command, kind, size)), flush=True)


def _line(command: str, kind: str, good: Whole, bad: Whole) -> str:
    times, processor = bad.seconds / good.seconds, bad.processor / good.processor
    memory = bad.peak_mb / good.peak_mb
    met = "yes" if times <= MOST_TIME and memory <= MOST_MEMORY else "NO"
    return (
        f"{command:8} {kind:9}: {times:4.1f} x the time (goal {MOST_TIME:g}), {processor:4.1f} x the processor time, "
        f"{memory:.2f} x the memory (goal {MOST_MEMORY:g}, {bad.peak_mb:.0f} MB): {met}"
    )


def _measured(command: str, kind: str, size: int) -> Whole:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "in.jsonl")
        line = KINDS[kind]
        block = line * (MB // len(line))
        with path.open("wb") as file:
            file.write(line)
            for _ in range(size):
                file.write(block)
        place = [f"{folder}/out"] if command == "pack" else [f"--destination={folder}/out", "--workers=1"]
        options = [f"--input={path}", "--domain_field=d", "--namespace=n", "--max_dead_letters=100%", "--quiet"]
        return whole_process([sys.executable, "-m", "beam_s3box", command, *place, *options])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
