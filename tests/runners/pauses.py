"""Bundles that pause over one of many keys: `python -m tests.runners.pauses DESTINATION CALLS START --runner=…`.

Each round has a record of each stream, and one of a stream that is new, over which the bundle pauses; an engine that
is impatient gives the rest of the bundle to another one meanwhile. It has a process of its own, as `sums` says.
"""

from __future__ import annotations

import pathlib
import sys
import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.periodicsequence import PeriodicImpulse
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from beam_s3box import StreamLimits, Tuning, WriteToS3Box
from tests.runners.engines import run_to_end

ROUNDS = 4
INTERVAL_SECONDS = 3
STREAMS = 200
PAUSE_SECONDS = 1.5
"""Long enough for a split and what follows from it, and over before the next round."""


def records(number: int) -> list[dict[str, Any]]:
    """Return the records of a round."""
    return [{"n": f"s{stream}", "i": f"{number}-{stream}"} for stream in range(STREAMS + number)]


class PausingClock:
    """The time, which is asked for once by each stream; but those of the first round wait for the answer.

    Args:
      calls: a file that counts them, whichever process they come from.
    """

    def __init__(self, calls: pathlib.Path) -> None:
        self._calls = calls

    def __call__(self) -> float:
        with self._calls.open("ab") as calls:
            calls.write(b".")
        if self._calls.stat().st_size > STREAMS:
            time.sleep(PAUSE_SECONDS)
        return time.time()


class _Records(beam.DoFn):
    def __init__(self, start: int) -> None:
        self._start = start

    def process(self, moment: Any) -> Iterator[TimestampedValue]:
        for record in records(round(float(moment) - self._start) // INTERVAL_SECONDS):
            yield TimestampedValue(record, moment)


def main(destination: str, calls: str, start: str, *arguments: str) -> None:
    """Write the rounds."""
    begin = int(start)
    pipeline = beam.Pipeline(argv=list(arguments))
    write = WriteToS3Box(
        destination,
        domain="pauses",
        namespace_field="n",
        windowing=FixedWindows(600),
        limits=StreamLimits(max_seconds=300),
        tuning=Tuning(clock=PausingClock(pathlib.Path(calls))),
    )
    moments = pipeline | "Rounds" >> PeriodicImpulse(begin, begin + ROUNDS * INTERVAL_SECONDS, INTERVAL_SECONDS)
    _ = moments | "Records" >> beam.ParDo(_Records(begin)) | "Write" >> write
    run_to_end(pipeline)


if __name__ == "__main__":
    main(*sys.argv[1:])
