"""A feed of numbered records that never knows where it is written: ten a second, some of them late, some streams idle.

What each record is follows from its number alone, so that a test knows what has to be in the store.
`python -m tests.runners.feed JOB --runner=…` writes one: a process of its own, for the reason that `sums` gives.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.transforms.periodicsequence import PeriodicSequence
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from beam_s3box import ShardFile, StreamLimits, WriteToS3Box
from tests.runners.engines import run_to_end

ROOT = pathlib.Path(__file__).parents[2]
WINDOW_SECONDS = 5
LATE_SECONDS = 12
LATE_DIGIT = 7
LATENESS_SECONDS = 20
AHEAD_SECONDS = 4
"""From the moment when the job runs until the first record at least: the steps behind the source are still starting."""

PATIENCE_SECONDS = 180
IDLE_AFTER = range(20, 23)
"""Seconds of the feed in which the idle stream has a record each; then never again."""

MAX_RECORDS = 15
LIMITS = {
    "feed/busy": StreamLimits(max_records=MAX_RECORDS),
    "feed/slow": StreamLimits(max_seconds=1.5),
    "feed/idle": StreamLimits(max_seconds=2.0),
}


class Feed(NamedTuple):
    """Records of so many seconds.

    Attributes:
      seconds: how long it goes on; a multiple of the windows.
      fails_after: seconds until a record can't be made, which fails the bundle; 0 for never.
      start: when the first is made, in seconds since the epoch: the begin of a window; 0 while the job does not run yet.
    """

    seconds: int
    fails_after: int = 0
    start: int = 0

    @property
    def end(self) -> int:
        return self.start + self.seconds

    def record(self, number: int) -> dict[str, Any]:
        """Return the record of that number: its stream, and `t`, when it happened."""
        second, digit = divmod(number, 10)
        moment = self.start + number / 10
        stream = "busy"
        if digit == 3:
            stream = "slow"
        elif digit == 5 and second in IDLE_AFTER:
            stream = "idle"
        elif digit == LATE_DIGIT:
            # to a window that had records in time, and to one that nobody wrote to
            stream, moment = ("busy", "late")[second % 2], moment - LATE_SECONDS
        return {"n": stream, "i": number, "t": moment, "pad": f"{number * 7919:x}" * 10}

    def records(self) -> list[dict[str, Any]]:
        return [self.record(number) for number in range(self.seconds * 10)]

    def busy_in_time(self) -> collections.Counter[int]:
        """Count the records of the busy stream that are not late, by the begin of their window."""
        moments = [record["t"] for record in self.records() if record["n"] == "busy" and record["i"] % 10 != LATE_DIGIT]
        return collections.Counter(int(moment // WINDOW_SECONDS) * WINDOW_SECONDS for moment in moments)


class ReadFeed(beam.PTransform):
    """The records as they come, each with its own time.

    Args:
      feed: it begins when the job runs, however long an engine takes until then.
      place: the file that says when it began, which a job that goes on after a failure reads.
    """

    def __init__(self, feed: Feed, place: pathlib.Path) -> None:
        super().__init__()
        self._feed = feed
        self._place = place

    def expand(self, begin: Any) -> beam.PCollection:
        return (
            begin
            | "Impulse" >> beam.Impulse()
            | "Begin" >> beam.ParDo(_Begin(self._feed, self._place))
            | "Tick" >> PeriodicSequence()
            | "Record" >> beam.ParDo(_Record(self._feed, self._place))
        )


class _Begin(beam.DoFn):
    def __init__(self, feed: Feed, place: pathlib.Path) -> None:
        self._feed = feed
        self._place = place

    def process(self, _: Any) -> Iterator[tuple[int, int, float]]:
        if not self._place.exists():
            start = int((time.time() + AHEAD_SECONDS) // WINDOW_SECONDS + 1) * WINDOW_SECONDS
            partial = self._place.with_suffix(f".{os.getpid()}")
            partial.write_text(str(start))
            # whole, and the first one stays
            with contextlib.suppress(FileExistsError):
                os.link(partial, self._place)
        feed = begun_at(self._feed, self._place)
        yield feed.start, feed.end, 0.1


class _Record(beam.DoFn):
    def __init__(self, feed: Feed, place: pathlib.Path) -> None:
        self._not_begun = feed
        self._place = place

    def setup(self) -> None:
        self._feed = self._not_begun

    def process(self, moment: Any) -> Iterator[TimestampedValue]:
        if not self._feed.start:
            self._feed = begun_at(self._feed, self._place)
        number = round((float(moment) - self._feed.start) * 10)
        if 0 < 10 * self._feed.fails_after <= number:
            raise RuntimeError("the feed fails")
        record = self._feed.record(number)
        yield TimestampedValue(record, record["t"])


def begun_at(feed: Feed, place: pathlib.Path) -> Feed:
    """Return the feed with the begin that the file says."""
    return feed._replace(start=int(place.read_text()))


class NoteShards(beam.DoFn):
    """Appends what the write says of its shards to a file on this machine; a retry may say it twice."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path

    def process(self, file: ShardFile) -> None:
        line = json.dumps([file.namespace, file.window, file.key, file.records, file.sealed_by])
        with self._path.open("a") as notes:
            notes.write(line + "\n")


def build(feed: Feed, destination: str, arguments: list[str], notes: pathlib.Path, **changes: Any) -> beam.Pipeline:
    """Return the pipeline that writes the feed."""
    pipeline = beam.Pipeline(argv=arguments)
    write = WriteToS3Box(
        destination,
        domain="feed",
        namespace_field="n",
        windowing=FixedWindows(WINDOW_SECONDS),
        limits=LIMITS,
        **{"allowed_lateness": LATENESS_SECONDS, **changes},
    )
    result = pipeline | "ReadFeed" >> ReadFeed(feed, _place(notes)) | "Write" >> write
    _ = result.shards | "NoteShards" >> beam.ParDo(NoteShards(notes))
    return pipeline


def _place(notes: pathlib.Path) -> pathlib.Path:
    return notes.with_suffix(".begin")


def submit(feed: Feed, destination: str, arguments: list[str], notes: pathlib.Path, **changes: Any) -> Submitted:
    """Start the pipeline in a process of its own."""
    job = json.dumps([*feed, destination, str(notes), changes])
    command = [sys.executable, "-m", "tests.runners.feed", job, *arguments]
    log = notes.with_suffix(".log")
    with log.open("w") as said:
        return Submitted(subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT), log)


def begun(feed: Feed, submitted: Submitted) -> Feed:
    """Wait until the job runs, and return the feed with its begin."""
    place, deadline = _place(submitted.log), time.monotonic() + PATIENCE_SECONDS
    while not place.exists():
        runs = submitted.process.poll() is None and time.monotonic() < deadline
        assert runs, f"no record was made:\n{submitted.log.read_text()[-4_000:]}"
        time.sleep(0.1)
    return begun_at(feed, place)


class Submitted(NamedTuple):
    """A pipeline that was started.

    Attributes:
      process: it ends with the pipeline, with 0 if that succeeds.
      log: what it says.
    """

    process: subprocess.Popen[bytes]
    log: pathlib.Path

    def wait(self, seconds: float = 240) -> None:
        """Wait until it succeeds."""
        try:
            assert self.process.wait(seconds) == 0, self.log.read_text()[-4_000:]
        finally:
            self.kill()

    def kill(self) -> None:
        """End the process; its job on a cluster goes on."""
        self.process.kill()
        self.process.wait()


def main(job: str, *arguments: str) -> None:
    """Run the pipeline that the JSON describes."""
    *feed, destination, notes, changes = json.loads(job)
    pipeline = build(Feed(*feed), destination, list(arguments), pathlib.Path(notes), **changes)
    run_to_end(pipeline)


if __name__ == "__main__":
    main(*sys.argv[1:])
