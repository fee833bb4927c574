"""Print all that the documentation quotes, each with its goal, and how it differs from the run before.

Cases that are compared run in turn, A B A B …, each in a process of its own; the ratio is the median of the pairs.
What a part finds is kept in `.cache/bench/goals`. Streams are measured where Java and Maven are there.
"""

from __future__ import annotations

import argparse
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Final, NamedTuple

from tools.bench import goals
from tools.bench.data import make_lines
from tools.bench.goals import Line, report
from tools.bench.measure import CACHE, json_of, use
from tools.seaweedfs import Server, seaweedfs

RECORDS: Final = 336_000
STREAMS: Final = 5_000


class Ratio(NamedTuple):
    """Two cases compared.

    Attributes:
      name: what the ratio says.
      ours, theirs: the cases.
      goal: the ratio wanted.
      at_least: whether it shall be at least the goal; else at most.
      rounds: pairs.
    """

    name: str
    ours: str
    theirs: str
    goal: float
    at_least: bool
    rounds: int


RATIOS: Final = (
    Ratio("backfill : bare loop, the same shards, without imports", "backfill", "bare_loop", 0.9, False, 7),
    Ratio("one dict at a time : plain GroupByKey", "one_at_a_time", "group_by_key", 1.25, False, 5),
    Ratio("WriteToFiles : backfill", "write_to_files", "backfill", 20.0, True, 3),
)
LIMITS: Final = ("codec_alone", "parse_alone", "route_alone", "read_alone")
_PARTS: Final = {
    "lines": ["tools.bench.lines"],
    "row_files": ["tools.bench.row_files"],
    "bad_lines": ["tools.bench.bad_lines"],
    "small_objects": ["tools.bench.small_objects"],
    "cores": ["tools.bench.cores"],
    "box": ["tools.bench.box_cases"],
    "streamer": ["tools.bench.streamer_cases"],
    "record_cost": ["tools.bench.record_cost"],
    "maintenance": ["tools.bench.maintenance"],
    "verifying": ["tools.bench.verifying"],
    "streams": ["tools.bench_stream", "--rounds=3", "--growth_seconds=0"],
}
"""The other parts, and the commands that measure them."""

_TABLES: Final = ("history", "levels")
"""Without goals."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one pair for each ratio, and a short run of JSON lines; nothing else"
    )
    parser.add_argument("--parts", nargs="*", choices=["ratios", *_PARTS], help="only these")
    parser.add_argument("--summary", action="store_true", help="measure nothing; print what was found last")
    given = parser.parse_args()
    parts = given.parts or (["ratios", "lines"] if given.quick else ["ratios", *_PARTS])
    if not given.summary:
        CACHE.mkdir(parents=True, exist_ok=True)
        for part in parts:
            _measure(part, quick=given.quick)
        if parts == ["ratios", *_PARTS]:
            for table in _TABLES:
                subprocess.run([sys.executable, "-m", f"tools.bench.{table}"], check=True)
    goals.summary(parts)


def _measure(part: str, *, quick: bool) -> None:
    if part == "ratios":
        with seaweedfs("bench") as server:
            use(server)
            report(part, _ratios(server, quick=quick))
    elif part == "streams" and not (shutil.which("java") and shutil.which("mvn")):
        print("streams are left out: they need Java and Maven")
    else:
        command = [*_PARTS[part], *(["--quick"] if quick else [])]
        subprocess.run([sys.executable, "-m", *command], check=True)


def _ratios(server: Server, *, quick: bool) -> Iterator[Line]:
    path = make_lines(CACHE / f"flights-{RECORDS}.jsonl", RECORDS)
    for ratio in RATIOS:
        pairs = [
            (_run(ratio.ours, path, server), _run(ratio.theirs, path, server))
            for _ in range(1 if quick else ratio.rounds)
        ]
        yield Line(ratio.name, [ours / theirs for ours, theirs in pairs], ratio.goal, ratio.at_least)
    for case in LIMITS:
        found = [path.stat().st_size / 1e6 / _run(case, path, server) for _ in range(3)]
        yield Line(f"{case.replace('_', ' ')}, one core, MB a second", found)
    if not quick:
        streams = make_lines(CACHE / f"streams-{STREAMS}.jsonl", RECORDS, STREAMS)
        peaks = [_peak(streams, server) for _ in range(3)]
        yield Line(f"backfill of {streams.stat().st_size / 1e9:.2f} GB, {STREAMS:,} streams, peak MB", peaks, 800)


def _peak(path: pathlib.Path, server: Server) -> float:
    command = [
        sys.executable, "-m", "tools.bench.peak", "--input", str(path), "--destination", f"s3://{server.bucket}/memory",
        "--domain_field", "carrier", "--namespace_field", "origin", "--s3_endpoint_url", server.endpoint_url,
        "--s3_region_name", "us-east-1",
    ]  # fmt: skip
    return float(json_of(command)["peak_bytes"] / 1e6)


def _run(case: str, path: pathlib.Path, server: Server) -> float:
    return float(json_of([sys.executable, "-m", "tools.bench.cases", case, str(path), server.bucket])["seconds"])


if __name__ == "__main__":
    main()
