"""What JSON lines cost, in whole processes: `python -m tools.bench.lines [--quick]`.

Each round runs all commands once, with 3 and with 10 times the flights; what more data costs is the difference, so
start and end are left out. A ratio is that of two costs of one round, and the median of the rounds is printed.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Iterator
from typing import Final

from tools.bench.data import make_lines
from tools.bench.goals import Line, report
from tools.bench.measure import CACHE, Whole, use, whole_process
from tools.seaweedfs import Server, seaweedfs

RECORDS: Final = 336_776
FEW: Final = 1_000
ROUNDS: Final = 3
SHARD_BYTES: Final = 1_000_000
EMPTY: Final = """
import apache_beam as beam, boto3
from apache_beam.options.pipeline_options import PipelineOptions
with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
    pipeline | beam.Create([1])
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, with 1 and 3 times the flights")
    given = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    sizes, rounds = ((1, 3), 1) if given.quick else ((3, 10), ROUNDS)
    with seaweedfs("bench") as server:
        use(server)
        report("lines", [*_start(server, rounds), *_data(server, rounds, sizes)])


def _start(server: Server, rounds: int) -> Iterator[Line]:
    """Yield what a few lines take."""
    path = _flights(FEW)
    commands = {
        "pack": _pack(path, server),
        "backfill": _backfill(path, server),
        "empty": [sys.executable, "-c", EMPTY],
    }
    for command in commands.values():
        whole_process(command)  # the first one compiles what it imports
    runs = [{name: whole_process(command) for name, command in commands.items()} for _ in range(2 * rounds + 1)]
    yield Line(f"pack of {FEW:,} lines, seconds", [run["pack"].seconds for run in runs], 0.4)
    more = [run["backfill"].seconds - run["empty"].seconds for run in runs]
    yield Line(f"backfill of {FEW:,} lines, seconds more than an empty pipeline", more, 0.4)


def _data(server: Server, rounds: int, sizes: tuple[int, int]) -> Iterator[Line]:
    """Yield what more data takes, compared with a loop that does the same by hand, and the memory of the most."""
    runs = [{size: _round(_flights(RECORDS * size), server) for size in sizes} for _ in range(rounds)]
    for name, what, goal in (
        ("backfill", "seconds", 0.35),
        ("backfill", "processor", 0.6),
        ("pack", "seconds", 0.35),
        ("pack", "processor", 0.6),
        ("backfill, shards of 1 MB", "seconds", 0.5),
    ):
        label = f"{name} : bare loop, marginal, {'wall time' if what == 'seconds' else 'processor time'}"
        yield Line(label, [_cost(run, name, what) / _cost(run, "bare loop", what) for run in runs], goal)
    most = sizes[-1]
    size = _flights(RECORDS * most).stat().st_size / 1e9
    for name in ("backfill", "pack"):
        yield Line(f"{name} of {size:.2f} GB, peak MB", [run[most][name].peak_mb for run in runs], 350)


def _cost(run: dict[int, dict[str, Whole]], name: str, what: str) -> float:
    few, many = run.values()
    cost: float = getattr(many[name], what) - getattr(few[name], what)
    return cost


def _round(path: pathlib.Path, server: Server) -> dict[str, Whole]:
    commands = {
        "bare loop": [sys.executable, "-m", "tools.bench.cases", "bare_loop", str(path), server.bucket],
        "backfill": _backfill(path, server),
        "backfill, shards of 1 MB": [*_backfill(path, server), f"--max_raw_bytes={SHARD_BYTES}"],
        "pack": _pack(path, server),
    }
    return {name: whole_process(command) for name, command in commands.items()}


def _pack(path: pathlib.Path, server: Server) -> list[str]:
    return [sys.executable, "-m", "beam_s3box", "pack", f"s3://{server.bucket}/pack", *_options(path, server)]


def _backfill(path: pathlib.Path, server: Server) -> list[str]:
    place = f"--destination=s3://{server.bucket}/backfill"
    # as these goals are those of one process
    return [sys.executable, "-m", "beam_s3box", "backfill", place, *_options(path, server), "--workers=1"]


def _options(path: pathlib.Path, server: Server) -> list[str]:
    endpoint = [f"--s3_endpoint_url={server.endpoint_url}", "--s3_region_name=us-east-1"]
    return [f"--input={path}", "--domain_field=carrier", "--namespace_field=origin", "--quiet", *endpoint]


def _flights(records: int) -> pathlib.Path:
    return make_lines(CACHE / f"flights-{records}.jsonl", records)


if __name__ == "__main__":
    main()
