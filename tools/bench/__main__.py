"""Print the ratios that the documentation quotes, and the limits behind them; saved to `.cache/bench/results.json`.

Cases that are compared run in turn, A B A B …, each in a process of its own; the ratio is the median of the pairs.
"""

from __future__ import annotations

import argparse
import datetime
import json
import pathlib
import statistics
import subprocess
import sys
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from tools.bench.data import make_lines
from tools.bench.measure import CACHE, json_of, machine, use
from tools.seaweedfs import Server, seaweedfs

RECORDS = 336_000
GIGABYTE_RECORDS = 3_600_000
STREAMS = 5_000


class Ratio(NamedTuple):
    """Two cases compared.

    Attributes:
      name: what the ratio says.
      ours, theirs: the cases.
      goal: the ratio wanted.
      at_most: whether it shall be at most the goal; else at least.
      rounds: pairs.
    """

    name: str
    ours: str
    theirs: str
    goal: float
    at_most: bool
    rounds: int


RATIOS = (
    Ratio("backfill : bare loop", "backfill", "bare_loop", 0.9, True, 7),
    Ratio("one dict at a time : plain GroupByKey", "one_at_a_time", "group_by_key", 1.25, True, 3),
    Ratio("WriteToFiles : backfill", "write_to_files", "backfill", 20.0, False, 1),
)
_MORE = (
    "cores",
    "lines",
    "box_cases",
    "streamer_cases",
    "small_objects",
    "bad_lines",
    "history",
    "record_cost",
    "row_files",
    "maintenance",
    "verifying",
    "levels",
)
LIMITS = ("codec_alone", "parse_alone", "route_alone", "read_alone")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one pair for each ratio, and a short run of JSON lines; nothing else"
    )
    arguments = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    path = make_lines(CACHE / f"flights-{RECORDS}.jsonl", RECORDS)
    results: dict[str, Any] = {
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "records": RECORDS,
        "bytes": path.stat().st_size,
    }
    with seaweedfs("bench") as server:
        use(server)
        results["ratios"] = [_compare(ratio, path, server, 1 if arguments.quick else ratio.rounds) for ratio in RATIOS]
        results["limits"] = [_limit(case, path, server) for case in LIMITS]
        results["memory"] = [] if arguments.quick else _memory(server)
    (CACHE / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    _show(results)
    for module in [["lines", "--quick"]] if arguments.quick else [[module] for module in _MORE]:
        subprocess.run([sys.executable, "-m", f"tools.bench.{module[0]}", *module[1:]], check=True)


def _compare(ratio: Ratio, path: pathlib.Path, server: Server, rounds: int) -> dict[str, Any]:
    pairs = [(_run(ratio.ours, path, server), _run(ratio.theirs, path, server)) for _ in range(rounds)]
    ratios = sorted(ours["seconds"] / theirs["seconds"] for ours, theirs in pairs)
    median = statistics.median(ratios)
    return {
        "name": ratio.name,
        "goal": f"{'<=' if ratio.at_most else '>='} {ratio.goal}",
        "met": median <= ratio.goal if ratio.at_most else median >= ratio.goal,
        "median": round(median, 2),
        "from": round(ratios[0], 2),
        "to": round(ratios[-1], 2),
        "seconds": [round(statistics.median(run["seconds"] for run in side), 2) for side in zip(*pairs, strict=True)],
    }


def _limit(case: str, path: pathlib.Path, server: Server) -> dict[str, Any]:
    seconds = min(_run(case, path, server)["seconds"] for _ in range(3))
    return {"name": case, "seconds": round(seconds, 3), "mb_per_second": round(path.stat().st_size / seconds / 1e6)}


def _memory(server: Server) -> list[dict[str, Any]]:
    gigabyte = make_lines(CACHE / f"flights-{GIGABYTE_RECORDS}.jsonl", GIGABYTE_RECORDS)
    streams = make_lines(CACHE / f"streams-{STREAMS}.jsonl", RECORDS, STREAMS)
    return [
        _peak(f"backfill of {gigabyte.stat().st_size / 1e9:.2f} GB, 35 streams", gigabyte, server, 600),
        _peak(f"backfill of {streams.stat().st_size / 1e9:.2f} GB, {STREAMS:,} streams", streams, server, 800),
    ]


def _peak(name: str, path: pathlib.Path, server: Server, goal_mb: int) -> dict[str, Any]:
    command = [
        sys.executable, "-m", "tools.bench.peak", "--input", str(path), "--destination", f"s3://{server.bucket}/memory",
        "--domain_field", "carrier", "--namespace_field", "origin", "--s3_endpoint_url", server.endpoint_url,
        "--s3_region_name", "us-east-1",
    ]  # fmt: skip
    peak = json_of(command)
    megabytes = round(peak["peak_bytes"] / 1e6)
    return {
        "name": name,
        "goal_mb": goal_mb,
        "met": megabytes <= goal_mb,
        "peak_mb": megabytes,
        "seconds": round(peak["seconds"], 1),
    }


def _run(case: str, path: pathlib.Path, server: Server) -> dict[str, Any]:
    return json_of([sys.executable, "-m", "tools.bench.cases", case, str(path), server.bucket])


def _show(results: dict[str, Any]) -> None:
    console = Console(width=110)
    megabytes = results["bytes"] / 1e6
    console.print(f"{results['machine']}; {results['records']:,} JSON lines, {megabytes:.0f} MB; real SeaweedFS")
    table = Table("ratio", "goal", "median", "from - to", "seconds", "met")
    for row in results["ratios"]:
        spread, seconds = f"{row['from']} - {row['to']}", " : ".join(map(str, row["seconds"]))
        table.add_row(row["name"], row["goal"], str(row["median"]), spread, seconds, "yes" if row["met"] else "NO")
    for row in results["memory"]:
        goal, peak, met = f"<= {row['goal_mb']} MB", f"{row['peak_mb']} MB", "yes" if row["met"] else "NO"
        table.add_row(row["name"], goal, peak, "", str(row["seconds"]), met)
    console.print(table)
    limits = Table("one core alone", "seconds", "MB/s")
    for row in results["limits"]:
        limits.add_row(row["name"].replace("_", " "), str(row["seconds"]), str(row["mb_per_second"]))
    console.print(limits)


if __name__ == "__main__":
    main()
