"""What lands in files comes out as lines in their windows, in batches, each line once, and counted."""

from __future__ import annotations

import gzip
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.options.windows import MICROS, Timing, WindowSpec
from beam_s3box.jobs.read import files as readers
from beam_s3box.jobs.read.stream import ReadStream, StreamInput
from beam_s3box.jobs.read.watch import FoundFile
from beam_s3box.records.batches import LineBatch

FOUND = 1_700_000_000
KEPT = 20 + 3_600 + 600


def timing(field: str | None = "t", size: int = 10, period: int = 10, lateness: float = 20) -> Timing:
    return Timing(WindowSpec(size, period), field, 60, lateness, None)


def found(path: pathlib.Path) -> FoundFile:
    return str(path), path.stat().st_size, FOUND * MICROS, ""


def read(timing: Timing, *files: FoundFile) -> StreamInput:
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    created = pipeline | beam.Create(files, reshuffle=False).with_output_types(FoundFile)
    stream: StreamInput = created | ReadStream(timing)
    return stream


def check(stream: StreamInput, windowed: list[Any], counts: dict[str, int]) -> None:
    """Run the pipeline and compare its lines with their windows' starts, and its counts."""
    assert_that(stream.lines | beam.ParDo(WithWindow()), equal_to(windowed), label="lines")
    summed = stream.counts | beam.CombinePerKey(sum)
    assert_that(summed, equal_to(list(counts.items())), label="counts")
    stream.lines.pipeline.run().wait_until_finish()


class WithWindow(beam.DoFn):
    def process(self, batch: LineBatch, window: Any = beam.DoFn.WindowParam) -> Iterator[tuple[int, bytes]]:
        for line in batch.lines:
            yield window.start.seconds() - FOUND, line


def line(seconds: float, mark: str = "") -> bytes:
    return json.dumps({"t": FOUND + seconds, "m": mark}).encode()


def test_lines_of_plain_and_gzip_files_are_in_the_windows_of_their_times(tmp_path: pathlib.Path) -> None:
    plain, packed, empty = tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz", tmp_path / "c.jsonl"
    plain.write_bytes(b"\n".join([line(-5), b"", line(-15), line(3)]))
    packed.write_bytes(gzip.compress(b"\r\n".join([line(-6), b"no record", line(-500), line(5_000), b""])))
    empty.write_bytes(b"")
    windowed = [
        (-10, line(-5)),
        (-20, line(-15)),
        (0, line(3)),
        (-10, line(-6)),
        (0, b"no record"),
        (0, line(-500)),
        (0, line(5_000)),
    ]
    counts = {"records_read": 7, "records_untimed": 1, "records_ahead": 1, "records_too_late": 1}
    check(read(timing(), *map(found, (plain, packed, empty))), windowed, counts)


def test_without_a_field_lines_are_in_the_window_in_which_their_file_arrived(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line(-500) + b"\nx\n")
    check(read(timing(None), found(path)), [(0, line(-500)), (0, b"x")], {"records_read": 2})


def test_lines_are_in_all_windows_that_slide_over_them_and_counted_in_each(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line(-5))
    starts = [-10, -20, -30]
    check(read(timing(size=30), found(path)), [(start, line(-5)) for start in starts], {"records_read": 3})


def test_a_large_file_is_read_in_ranges_and_each_line_once(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_SPLIT_BYTES", 100)
    path = tmp_path / "a.jsonl"
    lines = [line(i % 30, str(i)) for i in range(100)]
    path.write_bytes(b"\n".join(lines))
    windowed = [(i % 30 // 10 * 10, one) for i, one in enumerate(lines)]
    check(read(timing(), found(path)), windowed, {"records_read": 100})


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_file_that_grew_since_it_was_found_fails_the_job(tmp_path: pathlib.Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"{}\n") if name.endswith("gz") else b"{}\n")
    file = found(path)
    path.write_bytes(path.read_bytes() * 2)
    fails(file, "has changed since it was found: move files into the folder when they are whole")


def test_a_file_that_is_cut_off_fails_the_job(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"{}\n" * 1_000)[:-9])
    fails(found(path), "ends in the middle of its gzip data")


def test_a_file_that_is_gone_fails_the_job(tmp_path: pathlib.Path) -> None:
    fails((f"{tmp_path}/gone.jsonl", 5, FOUND * MICROS, ""), "gone.jsonl")


def fails(file: FoundFile, part: str) -> None:
    stream = read(timing(), file)
    with pytest.raises(Exception, match=part):
        stream.lines.pipeline.run().wait_until_finish()


def test_a_bad_early_interval_is_rejected_before_there_is_a_pipeline() -> None:
    with pytest.raises(ConfigurationError, match="triggering_frequency=0 must be a whole number"):
        ReadStream(timing()._replace(triggering_frequency=0))


def test_unbounded_lines_have_the_trigger_and_the_lateness_of_the_options() -> None:
    files = beam.Pipeline() | beam.Create([("a", 1, 1, "")]).with_output_types(FoundFile)
    files.is_bounded = False
    stream: StreamInput = files | ReadStream(timing())
    windowing = stream.lines.windowing
    assert not stream.lines.is_bounded
    assert (windowing.windowfn, windowing.allowed_lateness.micros) == (WindowSpec(10, 10).windowfn(), KEPT * MICROS)
    assert repr(windowing.triggerfn) == "AfterWatermark(late=AfterCount(1))"


@pytest.mark.parametrize("lateness", [0, 20, 100])
def test_windows_are_kept_for_files_that_are_found_again_long_after_they_arrived(lateness: float) -> None:
    """Beyond the lateness: an hour for the file, ten minutes for its records on the way."""
    files = beam.Pipeline() | beam.Create([("a", 1, 1, "")]).with_output_types(FoundFile)
    files.is_bounded = False
    stream: StreamInput = files | ReadStream(timing(lateness=lateness)._replace(triggering_frequency=5))
    windowing = stream.lines.windowing
    assert windowing.allowed_lateness.micros == (lateness + 4_200) * MICROS
    assert repr(windowing.triggerfn) == "AfterWatermark(early=AfterProcessingTime(delay=5), late=AfterCount(1))"
