"""What a backfill of history into days costs: `python -m tools.bench.history`; saved to `.cache/bench/history.json`.

Each (stream, day) is a shard of its own and, by default, has a manifest of its own. The same records are written
without windows, too; all come in order of their time, as exports do.
"""

from __future__ import annotations

import datetime
import json
import pathlib
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from tools.bench.data import make_lines
from tools.bench.measure import CACHE, json_of, use
from tools.seaweedfs import Server, seaweedfs

RECORDS = 336_000
CASES = ((20, 0), (20, 100), (20, 1_000))
"""Streams and days."""

BEGIN = datetime.date(2020, 1, 1)


def main() -> None:
    """Measure and print."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with seaweedfs("bench") as server:
        use(server)
        rows = [_measure(streams, days, server) for streams, days in CASES]
    (CACHE / "history.json").write_text(json.dumps(rows, indent=2) + "\n")
    table = Table(
        "streams", "days", "shards", "KB a shard", "seconds", "peak MB", title=f"{RECORDS:,} records into days"
    )
    for row in rows:
        table.add_row(*(str(row[name]) for name in ("streams", "days", "shards", "shard_kb", "seconds", "peak_mb")))
    Console(width=110).print(table)


def _measure(streams: int, days: int, server: Server) -> dict[str, Any]:
    path, report = _history(streams, max(days, 1)), CACHE / "history-report.json"
    command = [
        sys.executable, "-m", "tools.bench.peak", "--input", str(path), "--destination", f"s3://{server.bucket}/days",
        "--domain", "all", "--namespace_field", "origin", "--s3_endpoint_url", server.endpoint_url,
        "--s3_region_name", "us-east-1", "--report", str(report), "--quiet",
        *(["--timestamp_field=at", "--window=fixed:1d"] if days else []),
    ]  # fmt: skip
    peak, totals = json_of(command), json.loads(report.read_text())["streams"]
    shards = sum(stream["shards"] for stream in totals)
    return {
        "streams": streams,
        "days": days or "no windows",
        "shards": shards,
        "shard_kb": round(sum(stream["object_bytes"] for stream in totals) / shards / 1e3, 1),
        "seconds": round(peak["seconds"], 1),
        "peak_mb": round(peak["peak_bytes"] / 1e6),
    }


def _history(streams: int, days: int) -> pathlib.Path:
    """Return the path of records that are spread over streams and days, in order of time; an existing file is kept."""
    path = CACHE / f"history-{streams}-{days}.jsonl"
    if not path.exists():
        lines = make_lines(CACHE / f"streams-{streams}-{RECORDS}.jsonl", RECORDS, streams).read_text().splitlines()
        for number, line in enumerate(lines):
            day = BEGIN + datetime.timedelta(days=number * days // RECORDS)
            lines[number] = f'{{"at":"{day}",{line[1:]}\n'
        path.write_text("".join(lines))
    return path


if __name__ == "__main__":
    main()
