"""Input that is bad altogether, compared with good input of the same size: time and memory of `pack` and the backfill.

`python -m tools.bench.bad_lines [MB]` measures whole processes.
"""

from __future__ import annotations

import pathlib
import sys
import tempfile
from collections.abc import Iterator
from typing import Final

from tools.bench.goals import Line, report
from tools.bench.measure import Whole, whole_process

MB: Final = 1 << 20
ROUNDS: Final = 3
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
    report("bad_lines", [line for command in ("pack", "backfill") for line in _compared(command, size)])


def _compared(command: str, size: int) -> Iterator[Line]:
    _measured(command, "not JSON", 0)  # compiles what the others import
    rounds = [{kind: _measured(command, kind, size) for kind in KINDS} for _ in range(ROUNDS)]
    for kind in KINDS:
        if kind != "good":
            pairs = [(found[kind], found["good"]) for found in rounds]
            name = f"{command}, {size} MB of bad lines ({kind}) : good ones"
            yield Line(f"{name}, wall time", [bad.seconds / good.seconds for bad, good in pairs], MOST_TIME)
            yield Line(f"{name}, processor time", [bad.processor / good.processor for bad, good in pairs])
            yield Line(f"{name}, memory", [bad.peak_mb / good.peak_mb for bad, good in pairs], MOST_MEMORY)


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
