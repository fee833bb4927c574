"""Bounded input in windows: `python -m tests.runners.windowed DESTINATION NOTES --runner=…` writes some records.

It has a process of its own, for the reason that `sums` gives.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from beam_s3box import StreamLimits, WriteToS3Box
from tests.runners.engines import run_to_end
from tests.runners.feed import NoteShards

START = 1_000_000_020
WINDOW_SECONDS = 60
LIMIT = 10_000
RECORDS = 3_000
"""Of three streams and five windows: twice the limit in each."""


def record(number: int) -> dict[str, Any]:
    return {"d": "feed", "n": f"n{number % 3}", "i": number, "t": START + number // 10, "pad": "z" * 50}


class _Timed(beam.DoFn):
    def process(self, number: int) -> Iterator[TimestampedValue]:
        made = record(number)
        yield TimestampedValue(made, made["t"])


def main(destination: str, notes: str, *arguments: str) -> None:
    """Write the records, the newest first."""
    pipeline = beam.Pipeline(argv=list(arguments))
    numbers = pipeline | "Numbers" >> beam.Create(range(RECORDS - 1, -1, -1), reshuffle=False)
    result = (
        numbers
        | "Timed" >> beam.ParDo(_Timed())
        | "Write"
        >> WriteToS3Box(
            destination,
            domain_field="d",
            namespace_field="n",
            windowing=FixedWindows(WINDOW_SECONDS),
            allowed_lateness=30,
            triggering_frequency=1,
            limits=StreamLimits(max_raw_bytes=LIMIT, max_seconds=0.001),
        )
    )
    result.shards | "NoteShards" >> beam.ParDo(NoteShards(pathlib.Path(notes)))
    run_to_end(pipeline)


if __name__ == "__main__":
    main(*sys.argv[1:])
