"""The backlog of a topic, through the write on Prism and read alone: rates, the source's share, its memory."""

from __future__ import annotations

import pathlib
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from tools.bench.measure import json_of
from tools.bench_stream.figures import Figure, check, rate
from tools.kafka.broker import kafka_broker
from tools.kafka.produce import produce

RECORDS = 600_000
RECORD_BYTES = 200
PARTITIONS = 3
RATE_GOAL = 60_000
SHARE_GOAL = 0.2
FETCH = ("4MiB", "64MiB")
"""Sizes of --fetch_bytes whose memory is compared."""


def measure_kafka(bucket: str, rounds: int) -> dict[str, Any]:
    """Return the figures; a broker is started, and ends.

    Args:
      bucket: of the S3 server.
      rounds: how many times.
    """
    with tempfile.TemporaryDirectory() as folder, kafka_broker(pathlib.Path(folder)) as broker:
        topic = "backlog"
        broker.create_topic(topic, PARTITIONS)
        produce(broker.address, topic, _backlog())

        def run(writer: str, fetch_bytes: str = "32MiB") -> dict[str, Any]:
            destination = f"s3://{bucket}/kafka-{uuid.uuid4().hex}"
            command = [sys.executable, "-m", "tools.bench_stream.kafka_case", writer, broker.address, topic]
            return dict(check(json_of([*command, str(RECORDS), destination, "--fetch_bytes", fetch_bytes]), RECORDS))

        pairs = [(run("ours"), run("read")) for _ in range(rounds)]
        peaks = {size: run("read", size) for size in FETCH}
    return {
        "ours": Figure.of(rate(ours) for ours, _ in pairs),
        "read": Figure.of(rate(read) for _, read in pairs),
        "share": Figure.of(ours["source_seconds"] / ours["seconds"] for ours, _ in pairs),
        "peaks": {size: one["peak_bytes"] for size, one in peaks.items()},
    }


def show_kafka(figures: dict[str, Any], console: Console) -> None:
    """Print the table."""
    table = Table(
        f"Prism, a topic of {RECORDS:,} records of {RECORD_BYTES} bytes", "goal", "median", "from - to", "met"
    )
    ours, read, share = (Figure(*figures[name]) for name in ("ours", "read", "share"))
    for label, figure, form, goal, met in (
        ("records a second, through the write", ours, ",.0f", f">= {RATE_GOAL:,}", ours.median >= RATE_GOAL),
        ("the source alone", read, ",.0f", "", None),
        ("of the time, in which the source works", share, ".2f", f"<= {SHARE_GOAL:g}", share.median <= SHARE_GOAL),
    ):
        median, low, high = (format(value, form) for value in figure)
        table.add_row(label, goal, median, f"{low} - {high}", "" if met is None else ("yes" if met else "NO"))
    for size, peak in figures["peaks"].items():
        table.add_row(f"peak of a process that reads with --fetch_bytes {size}", "", f"{peak / 1e6:.0f} MB", "", "")
    console.print(table)


def _backlog() -> Iterator[tuple[int, bytes, int]]:
    now = int(time.time() * 1_000)
    for number in range(RECORDS):
        head = b'{"id":%d,"carrier":"C%d","origin":"O%d","pad":"' % (number, number % 7, number % 5)
        # compresses about as flights do
        filler = (b"%x" % (number * 2_654_435_761)) * 20
        yield number % PARTITIONS, head + filler[: RECORD_BYTES - len(head) - 2] + b'"}', now
