from __future__ import annotations

import os
import pathlib
import pickle
from collections.abc import Callable
from typing import NamedTuple

import apache_beam as beam
import pytest
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.sdf_utils import RestrictionTrackerView, ThreadsafeRestrictionTracker
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from beam_s3box.jobs.options.stream import Watching
from beam_s3box.jobs.options.windows import MICROS
from beam_s3box.jobs.read.file_memory import FileMemory
from beam_s3box.jobs.read.found_notes import FoundNotes
from beam_s3box.jobs.read.input_files import NO_OPTIONS, S3Access, s3_access_of
from beam_s3box.jobs.read.watch import WatchFiles
from beam_s3box.jobs.read.watch_restriction import Round, RoundTracker, WatchState
from beam_s3box.jobs.stream import PARSER
from beam_s3box.stores import MemoryStore
from tools.seaweedfs import REGION, Server

NOW = 1_700_000_000.5


def now() -> float:
    return NOW


BEGUN = NOW - 5_000
"""When the job began."""


def put(path: pathlib.Path, text: str, changed: float) -> None:
    path.write_text(text)
    os.utime(path, (changed, changed))


def micros(seconds: float) -> int:
    return int(seconds * MICROS)


class Looked(NamedTuple):
    """What one look gave a runner."""

    outputs: tuple[TimestampedValue, ...]
    watermark: Timestamp
    is_complete: bool


def look(
    *patterns: str,
    min_age: float = 1,
    delay: float = 60,
    begun: float = BEGUN,
    at: float = NOW,
    access: S3Access = NO_OPTIONS,
) -> Looked:
    times = iter([begun])
    transform = WatchFiles(patterns, Watching(10, min_age, None), delay, clock=lambda: next(times, at), access=access)
    return step(transform, WatchState(0, FileMemory(0)))


def step(transform: WatchFiles, work: WatchState | Round) -> Looked:
    tracker = ThreadsafeRestrictionTracker(RoundTracker(work))
    estimator = ManualWatermarkEstimator(None)
    outputs = tuple(transform._watch.process(b"", Timestamp(0), RestrictionTrackerView(tracker), estimator))
    return Looked(outputs, estimator.current_watermark(), tracker.deferred_status() is None)


def test_a_look_finds_each_file_once_stamped_with_its_arrival(tmp_path: pathlib.Path) -> None:
    put(tmp_path / "b.jsonl", "{}", NOW - 10)
    put(tmp_path / "a.jsonl", "", NOW - 20)
    put(tmp_path / "c.txt", "", NOW - 10)
    result = look(f"{tmp_path}/*.jsonl", f"{tmp_path}/a*", f"{tmp_path}/none")
    assert [output.value for output in result.outputs] == [
        (f"{tmp_path}/a.jsonl", 0, micros(NOW - 20), False),
        (f"{tmp_path}/b.jsonl", 2, micros(NOW - 10), False),
    ]
    assert [output.timestamp.micros for output in result.outputs] == [micros(NOW - 80), micros(NOW - 70)]
    assert not result.is_complete


def test_a_file_that_the_last_look_had_to_leave_is_not_late(tmp_path: pathlib.Path) -> None:
    """S3 has whole seconds only, so an object may seem to be a second older than it is."""
    put(tmp_path / "young", "", NOW - 0.9)
    first = look(f"{tmp_path}/*", min_age=1)
    assert (first.outputs, first.watermark) == ((), Timestamp(micros=micros(NOW - 60 - 2)))
    put(tmp_path / "young", "", NOW - 0.9 - 1)
    [output] = look(f"{tmp_path}/*", min_age=1, at=NOW + 10).outputs
    assert output.timestamp >= first.watermark


@pytest.mark.parametrize("again", [NOW, NOW + 60, NOW + 1_800])
@pytest.mark.parametrize(
    ("changed", "begun", "arrived"),
    [
        (NOW - 100, BEGUN, NOW - 100),
        # from before the job began
        (NOW - 100_000, NOW - 7, NOW - 7),
        # by a clock that is ahead a little
        (NOW + 30, BEGUN, NOW + 30),
    ],
)
def test_a_file_that_is_found_again_arrived_when_it_did_before(
    tmp_path: pathlib.Path, changed: float, begun: float, arrived: float, again: float
) -> None:
    put(tmp_path / "a", "", changed)
    [output] = look(f"{tmp_path}/*", min_age=-1_000, begun=begun, at=again).outputs
    assert output.value == (f"{tmp_path}/a", 0, micros(arrived), False)
    assert output.timestamp.micros == micros(min(arrived, again) - 60)


@pytest.mark.parametrize("changed", [NOW - 3_601, NOW + 601, 0])
def test_a_file_whose_time_can_not_be_used_counts_for_when_it_is_found(tmp_path: pathlib.Path, changed: float) -> None:
    """Its window would be gone, or not come for long; 0 is what Beam returns for a file system without times."""
    put(tmp_path / "a", "", changed)
    [output] = look(f"{tmp_path}/*", min_age=-1_000).outputs
    assert output.value == (f"{tmp_path}/a", 0, micros(NOW), True)


def test_it_is_noted_once_in_the_life_of_a_run() -> None:
    notes = pickle.loads(pickle.dumps(FoundNotes(MemoryStore("found-notes"), "r")))
    assert [notes.first("a", 1), notes.first("a", 2), notes.first("b", 3), notes.first("a", 4)] == [1, 1, 3, 1]
    assert notes._replace(run_id="r2").first("a", 5) == 5


def test_a_note_of_long_ago_is_none_of_this_file() -> None:
    """A path that was forgotten may be another file's: its records would be put into a window that is gone."""
    notes = FoundNotes(MemoryStore("found-long-ago"), "r")
    hour = 3600 * MICROS
    assert [notes.first("a", found) for found in (1, hour + 1, hour + 2)] == [1, 1, hour + 2]


def test_a_file_that_is_found_again_counts_for_when_it_was_found_first(tmp_path: pathlib.Path) -> None:
    for name, changed in (("new.jsonl", NOW + 1), ("untimed.jsonl", 0)):
        put(tmp_path / name, "", changed)
    notes = FoundNotes(MemoryStore("found-again"), "r")
    first = micros(NOW) - 42
    notes.first(f"{tmp_path}/untimed.jsonl", first)
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    watch = WatchFiles([f"{tmp_path}/*.jsonl"], Watching(0.05, 1, 6), 60, notes, Ticks())
    arrivals = [(f"{tmp_path}/new.jsonl", 0, micros(NOW + 1), ""), (f"{tmp_path}/untimed.jsonl", 0, first, "")]
    assert_that(pipeline | watch, equal_to(arrivals))
    pipeline.run().wait_until_finish()


class Ticks:
    """A clock that goes on by a second with each look at it."""

    def __init__(self) -> None:
        self._looks = 0

    def __call__(self) -> float:
        self._looks += 1
        return NOW + self._looks


def test_an_object_on_s3_is_whole_when_it_appears(s3_server: Server) -> None:
    client, key = s3_server.client(), "watched/a.jsonl"
    client.put_object(Bucket=s3_server.bucket, Key=key, Body=b"{}\n")
    changed = client.head_object(Bucket=s3_server.bucket, Key=key)["LastModified"].timestamp()
    access = s3_access_of(
        PARSER.parse(
            [
                f"--s3_endpoint_url={s3_server.endpoint_url}",
                f"--s3_region_name={REGION}",
                f"--s3_access_key_id={s3_server.reader.access_key}",
                f"--s3_secret_access_key={s3_server.reader.secret_key}",
            ]
        )
    )
    url = f"s3://{s3_server.bucket}/{key}"
    for pattern in (f"s3://{s3_server.bucket}/watched/*", url):
        result = look(pattern, min_age=10**9, begun=changed - 100, at=changed + 100, access=access)
        assert [output.value for output in result.outputs] == [(url, 3, int(changed * MICROS), False)]


class Steps:
    """A clock that goes on by a second, and a file that lands, with each look at it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._looks = 0

    def __call__(self) -> float:
        put(self._folder / f"{self._looks}.jsonl", "{}", NOW - 100)
        self._looks += 1
        return NOW + self._looks


def watched(folder: pathlib.Path, clock: Callable[[], float]) -> beam.PCollection:
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    return pipeline | WatchFiles([f"{folder}/*.jsonl", f"{folder}/0*"], Watching(0.05, 1, 6), 60, clock=clock)


class PathOf(beam.DoFn):
    def process(
        self, file: tuple[str, int, int], timestamp: Timestamp = beam.DoFn.TimestampParam
    ) -> list[tuple[str, int]]:
        # the files are older than the job
        assert (file[2], timestamp.micros) == (micros(NOW + 1), micros(NOW + 1 - 60))
        return [(os.path.basename(file[0]), file[1])]


def test_files_that_land_while_the_job_runs_are_found_once_until_it_stops(tmp_path: pathlib.Path) -> None:
    files = watched(tmp_path, Steps(tmp_path))
    assert not files.is_bounded
    paths = files | beam.ParDo(PathOf())
    assert_that(paths, same_as_on_disk(tmp_path))
    files.pipeline.run().wait_until_finish()


class SetBack:
    """A clock that goes on by a second with each look at it, and is set back by ten seconds after the third one.

    A file lands each time, whose time is not known: it counts for when it was found.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._looks = 0

    def __call__(self) -> float:
        put(self._folder / f"{self._looks}.jsonl", "{}", 0)
        self._looks += 1
        return NOW + self._looks - (10 if self._looks > 3 else 0)


def test_no_file_is_late_though_the_clock_is_set_back(tmp_path: pathlib.Path) -> None:
    """A time before the watermark is one whose window may have its last manifest already."""
    transform = WatchFiles([f"{tmp_path}/*.jsonl"], Watching(1, 1, None), 60, clock=SetBack(tmp_path))
    work, watermark, found = WatchState(0, FileMemory(0)), Timestamp(0), 0
    for _ in range(20):
        tracker = ThreadsafeRestrictionTracker(RoundTracker(work))
        estimator = ManualWatermarkEstimator(None)
        for output in transform._watch.process(b"", Timestamp(0), RestrictionTrackerView(tracker), estimator):
            assert output.timestamp >= watermark
            found += 1
        watermark = max(watermark, estimator.current_watermark())
        work = tracker.deferred_status()[0]
    assert found == 20 + 1, "one with each look, and one before the first"


def test_work_that_a_runner_tries_again_emits_the_same_without_a_look(tmp_path: pathlib.Path) -> None:
    watch = WatchFiles([f"{tmp_path}/*"], Watching(1, 0, None), 60, clock=now)
    file = ("gone.jsonl", 3, micros(NOW), False)
    [again] = step(watch, Round((file,), micros(NOW + 1))).outputs
    assert (again.value, again.timestamp) == (file, Timestamp(micros=micros(NOW - 60)))


def same_as_on_disk(folder: pathlib.Path) -> Callable[[list[tuple[str, int]]], None]:
    def check(found: list[tuple[str, int]]) -> None:
        there = sorted(path.name for path in folder.iterdir())
        equal_to([(name, 2) for name in there[: len(found)]])(sorted(found))
        # the clock is looked at after the last listing too
        assert len(there) - 2 <= len(found) <= len(there)
        assert len(found) > 3

    return check


@pytest.mark.parametrize("seconds", [None, 5])
def test_the_files_are_unbounded_in_the_global_window(tmp_path: pathlib.Path, seconds: float | None) -> None:
    files = beam.Pipeline() | WatchFiles([f"{tmp_path}/*"], Watching(1, 1, seconds), 0)
    assert not files.is_bounded
    assert files.windowing.is_default()
