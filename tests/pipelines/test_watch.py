from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Sequence

import apache_beam as beam
import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.sdf_utils import RestrictionTrackerView, ThreadsafeRestrictionTracker
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.utils.timestamp import Timestamp

from pipelines.file_memory import FileMemory
from pipelines.stream_job import PARSER
from pipelines.watch import Look, WatchFiles
from pipelines.watch_options import Watching
from pipelines.watch_restriction import FoundFile, Round, RoundTracker
from pipelines.window_spec import MICROS
from tools.seaweedfs import REGION, Server

NOW = 1_700_000_000.5


def now() -> float:
    return NOW


def put(path: pathlib.Path, text: str, changed: float) -> None:
    path.write_text(text)
    os.utime(path, (changed, changed))


def look(patterns: Sequence[str], min_age: float = 0) -> tuple[tuple[FoundFile, ...], FileMemory]:
    return Look(patterns, Watching(10, min_age, None), now)(FileMemory(0))


def test_a_look_finds_each_file_once(tmp_path: pathlib.Path) -> None:
    put(tmp_path / "b.jsonl", "{}", NOW - 10)
    put(tmp_path / "a.jsonl", "", NOW - 10)
    put(tmp_path / "c.txt", "", NOW - 10)
    files, memory = look([f"{tmp_path}/*.jsonl", f"{tmp_path}/a*", f"{tmp_path}/none"], 1)
    found = int(NOW * MICROS)
    assert files == ((f"{tmp_path}/a.jsonl", 0, found), (f"{tmp_path}/b.jsonl", 2, found))
    assert memory.at == found


def test_a_local_file_that_may_still_grow_waits(tmp_path: pathlib.Path) -> None:
    put(tmp_path / "old", "", NOW - 1)
    put(tmp_path / "young", "", NOW - 0.9)
    assert [file[0] for file in look([f"{tmp_path}/*"], 1)[0]] == [f"{tmp_path}/old"]


def test_an_object_on_s3_is_whole_when_it_appears(s3_server: Server) -> None:
    s3_server.client().put_object(Bucket=s3_server.bucket, Key="watched/a.jsonl", Body=b"{}\n")
    FileSystems.set_options(
        PARSER.parse(
            [
                f"--s3_endpoint_url={s3_server.endpoint_url}",
                f"--s3_region_name={REGION}",
                f"--s3_access_key_id={s3_server.reader.access_key}",
                f"--s3_secret_access_key={s3_server.reader.secret_key}",
            ]
        )
    )
    url = f"s3://{s3_server.bucket}/watched/a.jsonl"
    assert look([f"s3://{s3_server.bucket}/watched/*"], 10**9)[0] == ((url, 3, int(NOW * MICROS)),)


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
    return pipeline | WatchFiles([f"{folder}/*.jsonl", f"{folder}/0*"], Watching(0.05, 1, 6), 60, clock)


class PathOf(beam.DoFn):
    def process(
        self, file: tuple[str, int, int], timestamp: Timestamp = beam.DoFn.TimestampParam
    ) -> list[tuple[str, int]]:
        assert timestamp.micros == file[2] - 60 * MICROS
        return [(os.path.basename(file[0]), file[1])]


def test_files_that_land_while_the_job_runs_are_found_once_until_it_stops(tmp_path: pathlib.Path) -> None:
    files = watched(tmp_path, Steps(tmp_path))
    assert not files.is_bounded
    paths = files | beam.ParDo(PathOf())
    assert_that(paths, same_as_on_disk(tmp_path))
    files.pipeline.run().wait_until_finish()


class SetBack(Steps):
    """The same, but the clock is set back by ten seconds after the third look."""

    def __call__(self) -> float:
        now = super().__call__()
        return now - 10 if now > NOW + 3.5 else now


def test_no_file_is_late_though_the_clock_is_set_back(tmp_path: pathlib.Path) -> None:
    """A time before the watermark is one whose window may have its last manifest already."""
    files = watched(tmp_path, SetBack(tmp_path))
    assert_that(files | beam.Map(lambda file: file[2] // MICROS - int(NOW)), stands_still)
    files.pipeline.run().wait_until_finish()


def stands_still(seconds: list[int]) -> None:
    assert min(seconds) >= 1, "nothing has a time of before the first look"
    assert seconds.count(3) + seconds.count(4) > 9, "what is found until it has caught up has the last time before"
    assert max(seconds) > 6


def test_work_that_a_runner_tries_again_emits_the_same_without_a_look(tmp_path: pathlib.Path) -> None:
    watch = WatchFiles([f"{tmp_path}/*"], Watching(1, 0, None), 60, now)._watch
    file = ("gone.jsonl", 3, int(NOW * MICROS))
    done = RestrictionTrackerView(ThreadsafeRestrictionTracker(RoundTracker(Round((file,)))))
    estimator = ManualWatermarkEstimator(None)
    [again] = watch.process(b"", Timestamp(0), done, estimator)
    assert (again.value, again.timestamp) == (file, Timestamp(micros=file[2] - 60 * MICROS))


def same_as_on_disk(folder: pathlib.Path) -> Callable[[list[tuple[str, int]]], None]:
    def check(found: list[tuple[str, int]]) -> None:
        there = sorted(path.name for path in folder.iterdir())
        equal_to([(name, 2) for name in there[: len(found)]])(sorted(found))
        # a look at the clock before the first listing
        assert len(there) - 1 <= len(found) <= len(there)
        assert len(found) > 3

    return check


@pytest.mark.parametrize("seconds", [None, 5])
def test_the_files_are_unbounded_in_the_global_window(tmp_path: pathlib.Path, seconds: float | None) -> None:
    files = beam.Pipeline() | WatchFiles([f"{tmp_path}/*"], Watching(1, 1, seconds), 0)
    assert not files.is_bounded
    assert files.windowing.is_default()
