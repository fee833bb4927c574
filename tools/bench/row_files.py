"""Print how many rows a second the backfill reads from CSV and Parquet: `python -m tools.bench.row_files`."""

from __future__ import annotations

import pathlib
import sys

import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from tools.bench.data import make_lines
from tools.bench.measure import CACHE, json_of, use
from tools.seaweedfs import Server, seaweedfs

RECORDS = 336_000
ROUNDS = 3


def main() -> None:
    """Measure and print."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with seaweedfs("bench") as server:
        use(server)
        for path in make_files():
            runs = sorted(backfill(path, server) for _ in range(ROUNDS))
            seconds, peak = runs[ROUNDS // 2]
            print(
                f"{path.suffix.removeprefix('.')}: {RECORDS / seconds:,.0f} rows a second, "
                f"{path.stat().st_size / 1e6:.0f} MB in {seconds:.1f} s, at most {peak / 1e6:.0f} MB of memory"
            )


def make_files() -> list[pathlib.Path]:
    """Return a CSV and a Parquet file of the same flights."""
    lines = make_lines(CACHE / f"flights-{RECORDS}.jsonl", RECORDS)
    csv, parquet = lines.with_suffix(".csv"), lines.with_suffix(".parquet")
    if not (csv.exists() and parquet.exists()):
        table = pyarrow.json.read_json(lines)
        pyarrow.csv.write_csv(table, csv)
        pyarrow.parquet.write_table(table, parquet)
    return [csv, parquet]


def backfill(path: pathlib.Path, server: Server) -> tuple[float, int]:
    """Backfill a file in a process of its own and return the seconds and the peak of its memory, in bytes."""
    command = [
        sys.executable, "-m", "tools.bench.peak", "--input", str(path), "--destination", f"s3://{server.bucket}/rows",
        "--domain_field", "carrier", "--namespace_field", "origin", "--s3_endpoint_url", server.endpoint_url,
        "--s3_region_name", "us-east-1",
    ]  # fmt: skip
    run = json_of(command)
    return run["seconds"], run["peak_bytes"]


if __name__ == "__main__":
    main()
