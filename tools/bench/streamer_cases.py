"""Print how fast a streamer takes records, and what recovering 1 GB takes: `python -m tools.bench.streamer_cases`.

Each case runs in a process of its own; its peak memory is the process's.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from beam_s3box.records.streams import Stream
from beam_s3box.streamer import BufferFile, JsonBufferStreamer
from beam_s3box.streamer.buffers import header_of
from beam_s3box.streamer.output import Output
from tools.bench.goals import Line, report
from tools.bench.measure import peak_bytes

RECORDS = 300_000
RECORD_BYTES = 300
SIZE_LIMIT = 10_000_000
ROUNDS = 5
GIGABYTE = 1_000_000_000
STREAM = Stream("web", "clicks")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", nargs="?", choices=["append", "file_write", "dumps_and_write", "recover"])
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--durability", default="os")
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(run_case(arguments.case, pathlib.Path(arguments.folder), arguments.durability)))
        return
    report("streamer", [*appends(), *recoveries()])


def appends() -> Iterator[Line]:
    """Compare `append` with `file.write`, in turn."""
    rounds = [
        {case: measure(case)["seconds"] for case in ("append", "file_write", "dumps_and_write")} for _ in range(ROUNDS)
    ]
    name = f"append of a record of {RECORD_BYTES} bytes"
    yield Line(f"{name}, a second", [RECORDS / found["append"] for found in rounds], 100_000, at_least=True)
    for other, what in (("file_write", "file.write"), ("dumps_and_write", "orjson.dumps and file.write")):
        yield Line(f"{name} : {what}", [found["append"] / found[other] for found in rounds])
    for durability in ("memory", "fsync"):
        found = [1 / measure("append", durability)["per_record"] for _ in range(ROUNDS)]
        yield Line(f"{name}, durability={durability!r}, a second", found)


def recoveries() -> Iterator[Line]:
    """Recover 1 GB that a crash left in buffers of 10 MB."""
    found = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            write_buffers(pathlib.Path(folder))
            found.append(run("recover", folder))
    name = f"recovery of {GIGABYTE / 1e9:.0f} GB in buffers of {SIZE_LIMIT / 1e6:.0f} MB, gzip"
    yield Line(f"{name}, seconds", [one["seconds"] for one in found])
    yield Line(f"{name}, peak MB", [one["peak_bytes"] / 1e6 for one in found])


def measure(case: str, durability: str = "os") -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return run(case, folder, durability)


def run(case: str, folder: str, durability: str = "os") -> dict[str, Any]:
    command = [sys.executable, "-m", "tools.bench.streamer_cases", case, folder, "--durability", durability]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def run_case(case: str, folder: pathlib.Path, durability: str) -> dict[str, Any]:
    """Run one case in this process."""
    if case == "recover":
        return recover(folder)
    records = 3_000 if durability == "fsync" else RECORDS
    others = {"file_write": file_write, "dumps_and_write": dumps_and_write}
    seconds = others[case](folder, records) if case in others else append(folder, records, durability)
    return {"seconds": seconds, "per_record": seconds / records}


def record() -> dict[str, Any]:
    """Return a record of 300 bytes."""
    values: dict[str, Any] = {"id": 123456, "page": "/products/4711", "ok": True, "tags": ["a", "b"], "pad": ""}
    short = RECORD_BYTES - len(json.dumps(values, separators=(",", ":")))
    return {**values, "pad": "x" * short}


def append(folder: pathlib.Path, records: int, durability: str) -> float:
    value = record()
    streamer = JsonBufferStreamer(forget, folder, scheduler_interval=0, durability=durability)
    streamer.open(*STREAM, size_limit=SIZE_LIMIT)
    begun = time.perf_counter()
    for _ in range(records):
        streamer.append("web", "clicks", value)
    seconds = time.perf_counter() - begun
    streamer.shut_down()
    return seconds


def file_write(folder: pathlib.Path, records: int) -> float:
    line = json.dumps(record(), separators=(",", ":")).encode() + b"\n"
    with open(folder / "bare", "wb", buffering=0) as file:
        begun = time.perf_counter()
        for _ in range(records):
            file.write(line)
        return time.perf_counter() - begun


def dumps_and_write(folder: pathlib.Path, records: int) -> float:
    import orjson

    value = record()
    with open(folder / "bare", "wb", buffering=0) as file:
        begun = time.perf_counter()
        for _ in range(records):
            file.write(orjson.dumps(value) + b"\n")
        return time.perf_counter() - begun


def write_buffers(folder: pathlib.Path) -> None:
    """Write what a process that was killed would leave."""
    line = json.dumps(record(), separators=(",", ":")).encode() + b"\n"
    header = header_of(STREAM, Output("json-array", "gzip")) + b"\n"
    body = header + line * (SIZE_LIMIT // len(line))
    for number in range(GIGABYTE // SIZE_LIMIT):
        (folder / f"20261122T101500Z-1f3a9c2b-0123456789ab-{number:05d}.open").write_bytes(body)


def recover(folder: pathlib.Path) -> dict[str, Any]:
    before = time.perf_counter()
    with JsonBufferStreamer(forget, folder, scheduler_interval=0, compression="gzip") as streamer:
        streamer.flush()
        records = streamer.stats.uploaded_records
    return {
        "seconds": time.perf_counter() - before,
        "peak_bytes": peak_bytes(),
        "records": records,
    }


def forget(file: BufferFile) -> None:
    """Upload nothing: what is measured is the local side."""


if __name__ == "__main__":
    main()
