"""Bounded input that takes its time: `python -m tests.runners.paced JOB --runner=…` writes so many numbered records.

A process of its own, for the reason that `sums` gives.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam

from beam_s3box import Manifests, StreamLimits, Tuning, WriteToS3Box
from tests.runners.engines import run_to_end
from tests.runners.feed import ROOT, Submitted

STREAMS = 20


class Paced(NamedTuple):
    """So many records, and how long each of them takes.

    Attributes:
      records: how many; their numbers are 0 to records - 1, and say in which of the streams each is.
      seconds: that each takes.
      manifests: of each stream.
      manifest_seconds: that the step behind the manifests takes for each; it shares its stage with the step that
        writes them, so that a stage is killed in which some are written and others are not.
    """

    records: int
    seconds: float
    manifests: int = 1
    manifest_seconds: float = 0.0


class Wait(beam.DoFn):
    """Passes elements on after so many seconds each."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def process(self, element: Any) -> Iterator[Any]:
        time.sleep(self._seconds)
        yield element


def record(number: int) -> dict[str, Any]:
    return {"d": "paced", "n": f"n{number % STREAMS}", "i": number}


def build(paced: Paced, destination: str, arguments: list[str]) -> beam.Pipeline:
    """Return the pipeline that writes the records."""
    pipeline = beam.Pipeline(argv=arguments)
    # one shuffle: of what comes through several, Spark repeats all, or fails the job
    numbers = pipeline | beam.Impulse() | "Numbers" >> beam.FlatMap(lambda _: range(paced.records))
    numbers = numbers | "Spread" >> beam.Reshuffle()
    records = numbers | "Pace" >> beam.ParDo(Wait(paced.seconds)) | "Record" >> beam.Map(record)
    result = records | "Write" >> WriteToS3Box(
        destination,
        domain_field="d",
        namespace_field="n",
        limits=StreamLimits(max_records=5),
        manifests=Manifests(count=paced.manifests),
        tuning=Tuning(partial_shards="shuffle"),
    )
    _ = result.manifests | "PaceManifests" >> beam.ParDo(Wait(paced.manifest_seconds))
    return pipeline


def submit(paced: Paced, destination: str, arguments: list[str], log: pathlib.Path) -> Submitted:
    """Start the pipeline in a process of its own."""
    command = [sys.executable, "-m", "tests.runners.paced", json.dumps([paced, destination]), *arguments]
    with log.open("w") as said:
        return Submitted(subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT), log)


def main(job: str, *arguments: str) -> None:
    """Run the pipeline that the JSON describes."""
    paced, destination = json.loads(job)
    run_to_end(build(Paced(*paced), destination, list(arguments)))


if __name__ == "__main__":
    main(*sys.argv[1:])
