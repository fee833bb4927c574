"""CSV and Parquet: a backfill by columns, row by row, and DuckDB; `python -m tools.bench.row_files` prints it.

The flights 3 times and 10 times, whole processes: a seventh of the difference is without the start. Processor time is
that of the process tree. DuckDB exports gzip JSON partitioned by stream to a folder.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile
from collections.abc import Iterator
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from tools.bench.data import make_lines
from tools.bench.goals import Line, report
from tools.bench.measure import CACHE, json_of, use
from tools.seaweedfs import Server, seaweedfs

RECORDS: Final = 336_000
FEW, MANY = 3, 10
FORMATS: Final = ("csv", "parquet")

_BACKFILL: Final = """
import functools, sys
from beam_s3box.cli.main import main
from beam_s3box.jobs import backfill
backfill.RowOptions = functools.partial(backfill.RowOptions, by_columns={by_columns})
sys.argv[1:1] = ["backfill", "--domain_field=carrier", "--namespace_field=origin", "--quiet"]
sys.exit(main())
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
    lines: list[Line] = []
    with seaweedfs("bench") as server, tempfile.TemporaryDirectory(prefix="row-files-") as folder:
        use(server)
        for kind in FORMATS:
            few, many = (make_file(kind, times) for times in (FEW, MANY))
            runs: dict[str, list[tuple[Used, Used]]] = {"columns": [], "rows": [], "duckdb": []}
            for name in [*runs] * rounds:
                runs[name].append(tuple(_run(name, path, server, pathlib.Path(folder)) for path in (few, many)))  # type: ignore[arg-type]
            lines += _lines(kind, runs)
    report("row_files", lines)


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


def _lines(kind: str, runs: dict[str, list[tuple[Used, Used]]]) -> Iterator[Line]:
    wall, cpu = ({name: _more(pairs, what) for name, pairs in runs.items()} for what in ("seconds", "cpu"))
    for took, what in ((wall, "wall time"), (cpu, "processor time")):
        yield Line(
            f"{kind}, row by row : by columns, marginal, {what}", _ratios(took, "rows", "columns"), 5, at_least=True
        )
        yield Line(f"{kind}, by columns : DuckDB, marginal, {what}", _ratios(took, "columns", "duckdb"), 0.8)
    yield Line(f"{kind} by columns, rows a second", [RECORDS / seconds for seconds in wall["columns"]])
    yield Line(f"{kind} by columns, peak MB", [many.peak_bytes / 1e6 for _, many in runs["columns"]], 450)


def _ratios(took: dict[str, list[float]], ours: str, theirs: str) -> list[float]:
    return [mine / other for mine, other in zip(took[ours], took[theirs], strict=True)]


def _more(pairs: list[tuple[Used, Used]], what: str) -> list[float]:
    """Return what the flights take once more, in each round."""
    return [(getattr(many, what) - getattr(few, what)) / (MANY - FEW) for few, many in pairs]


if __name__ == "__main__":
    main()
