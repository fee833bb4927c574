"""CSV and Parquet: a backfill by columns, row by row, and DuckDB; `python -m tools.bench.row_files` prints it.

The flights 3 times and 10 times, whole processes: a seventh of the difference is without the start. Processor time is
that of the process tree. DuckDB exports gzip JSON partitioned by stream to a folder.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import sys
import tempfile
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from tools.bench.data import make_lines
from tools.bench.measure import CACHE, json_of, machine, use
from tools.seaweedfs import Server, seaweedfs

RECORDS: Final = 336_000
FEW, MANY = 3, 10
FORMATS: Final = ("csv", "parquet")

_BACKFILL: Final = """
import functools, sys
from beam_s3box.cli.main import main
from beam_s3box.jobs import backfill
backfill.RowOptions = functools.partial(backfill.RowOptions, by_columns={by_columns})
sys.exit(main(["backfill", "--domain_field=carrier", "--namespace_field=origin", "--quiet", *sys.argv[1:]]))
"""
_DUCKDB: Final = """
import sys, duckdb
path, folder = sys.argv[1:]
rows = f"read_csv('{path}', all_varchar=true)" if path.endswith("csv") else f"read_parquet('{path}')"
duckdb.execute(
    f"copy (select * from {rows}) to '{folder}' "
    "(format json, partition_by (carrier, origin), write_partition_columns true, compression gzip)"
)
"""


class Used(NamedTuple):
    """What a process took: seconds on the clock and of the processor, and at most so many bytes of memory."""

    seconds: float
    cpu: float
    peak_bytes: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    CACHE.mkdir(parents=True, exist_ok=True)
    print(f"{machine()}; {RECORDS:,} rows more")
    with seaweedfs("bench") as server, tempfile.TemporaryDirectory(prefix="row-files-") as folder:
        use(server)
        for kind in FORMATS:
            few, many = (make_file(kind, times) for times in (FEW, MANY))
            runs = {
                name: [
                    (_run(name, few, server, pathlib.Path(folder)), _run(name, many, server, pathlib.Path(folder)))
                    for _ in range(rounds)
                ]
                for name in ("columns", "rows", "duckdb")
            }
            _show(kind, runs)


def make_file(kind: str, times: int) -> pathlib.Path:
    """Return a file of the flights, so many times."""
    path = CACHE / f"flights-{times}x{RECORDS}.{kind}"
    if not path.exists():
        table = pyarrow.json.read_json(make_lines(CACHE / f"flights-{RECORDS}.jsonl", RECORDS))
        table = pa.concat_tables([table] * times)
        partial = path.with_suffix(".partial")
        if kind == "csv":
            pyarrow.csv.write_csv(table, partial)
        else:
            pyarrow.parquet.write_table(table, partial)
        partial.rename(path)
    return path


def _run(name: str, path: pathlib.Path, server: Server, folder: pathlib.Path) -> Used:
    if name == "duckdb":
        with tempfile.TemporaryDirectory(dir=folder) as out:
            command = [sys.executable, "-c", _DUCKDB, str(path), f"{out}/export"]
            return Used(**json_of([sys.executable, "-m", "tools.bench.tree", *command]))
    program = _BACKFILL.format(by_columns=name == "columns")
    command = [sys.executable, "-c", program, f"--input={path}", f"--destination=s3://{server.bucket}/rows"]
    return Used(**json_of([sys.executable, "-m", "tools.bench.tree", *command]))


def _show(kind: str, runs: dict[str, list[tuple[Used, Used]]]) -> None:
    wall = {name: _more([(few.seconds, many.seconds) for few, many in pairs]) for name, pairs in runs.items()}
    cpu = {name: _more([(few.cpu, many.cpu) for few, many in pairs]) for name, pairs in runs.items()}
    whole = {name: statistics.median(many.seconds for _, many in pairs) for name, pairs in runs.items()}
    peak = statistics.median(many.peak_bytes for _, many in runs["columns"])
    of_rows = [took["rows"] / took["columns"] for took in (wall, cpu)]
    of_duckdb = [took["columns"] / took["duckdb"] for took in (wall, cpu)]
    print(f"{kind}: {RECORDS / wall['columns']:,.0f} rows a second; seconds on the clock and of the processor:")
    for name in runs:
        print(f"  {name:8} {wall[name]:.2f} {cpu[name]:.2f}")
    print(f"  rows : columns {of_rows[0]:.1f} {of_rows[1]:.1f} (goal 5)")
    print(f"  columns : duckdb {of_duckdb[0]:.2f} {of_duckdb[1]:.2f} (goal 0.8)")
    print(f"  with the start, {MANY} times the flights, columns : duckdb {whole['columns'] / whole['duckdb']:.2f}")
    print(f"  at most {peak / 1e6:.0f} MB of memory (goal 450)")


def _more(pairs: list[tuple[float, float]]) -> float:
    """Return what the flights take once more."""
    return statistics.median((many - few) / (MANY - FEW) for few, many in pairs)


if __name__ == "__main__":
    main()
