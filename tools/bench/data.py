"""Bench data, made from the records that the repo ships: the same bytes at every call."""

from __future__ import annotations

import gzip
import json
import pathlib

SAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "flights.jsonl.gz"


def make_lines(path: pathlib.Path, records: int, streams: int | None = None) -> pathlib.Path:
    """Write that many JSON lines of about 300 bytes and return the path; an existing file is kept.

    The sample is repeated with another year each time, so that no two records are equal. With `streams`, the
    namespaces are spread over that many streams.
    """
    if path.exists():
        return path
    sample = [json.loads(line) for line in gzip.decompress(SAMPLE.read_bytes()).splitlines()]
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as file:
        for number in range(records):
            record = dict(sample[number % len(sample)])
            record["year"] += number // len(sample)
            if streams is not None:
                record["origin"] = f"{number % streams:05d}"
                record["carrier"] = "all"
            file.write(json.dumps(record, separators=(",", ":")) + "\n")
    partial.rename(path)
    return path
