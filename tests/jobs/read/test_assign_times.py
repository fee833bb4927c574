"""Records of a backfill go into windows by their own time, each once; one without a time is rejected, and says why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.read.assign_times import AssignTimes
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.encoding import REASONS
from beam_s3box.records.event_times import EventTimes, fault_of
from beam_s3box.records.lines import split_lines
from beam_s3box.records.rejected_lines import RejectedLines
from beam_s3box.records.rejected_rows import RejectedRow

DAY = 86_400
NEW_YEAR = 1_704_067_200
"""2024-01-01T00:00:00Z"""


class Placed(beam.DoFn):
    """What the records are, with the timestamp that decides their window."""

    def process(self, element: Any, time: Any = beam.DoFn.TimestampParam) -> Iterator[tuple[Any, ...]]:
        second = time.seconds() - NEW_YEAR if time.seconds() else None
        if isinstance(element, RejectedRow):
            yield second, element.reason, element.line, element.raw
        elif isinstance(element, RejectedLines):
            for number, line in zip(element.batch.numbers, element.batch.lines, strict=True):
                yield second, element.reason, number, line
        else:
            for number, line in zip(element.numbers, element.lines, strict=True):
                yield second, "", number, line


def check(elements: list[Any], expected: list[tuple[Any, ...]], field: str = "t", seconds: int = DAY) -> None:
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        created = pipeline | beam.Create(elements, reshuffle=False)
        placed = created | AssignTimes(EventTimes(field, seconds)) | beam.ParDo(Placed())
        assert_that(placed, equal_to(expected))


def line(time: Any) -> bytes:
    return json.dumps({"t": time}).encode()


def batch(*lines: bytes) -> LineBatch:
    return LineBatch(list(lines), "a.jsonl", range(1, len(lines) + 1), 7)


def test_lines_are_stamped_with_the_begin_of_their_window_in_order() -> None:
    lines = [
        line("2024-01-01"),
        line("2024-01-02T23:59:59.999999Z"),
        line(NEW_YEAR + 5),
        line("2024-01-02 01:00+02:00"),
    ]
    check(
        [batch(*lines)],
        [(0, "", 1, lines[0]), (86_400, "", 2, lines[1]), (0, "", 3, lines[2]), (0, "", 4, lines[3])],
    )


def test_windows_of_an_hour_and_a_field_within_an_object() -> None:
    lines = [b'{"a": {"t": %d}}' % (NEW_YEAR + 3_600), b'{"a.t": %d, "a": {"t": 1}}' % (NEW_YEAR + 7_201)]
    check(
        [batch(*lines)],
        [(3_600, "", 1, lines[0]), (7_200, "", 2, lines[1])],
        "a.t",
        3_600,
    )


def test_what_has_no_time_is_rejected_for_its_own_fault() -> None:
    lines = [b"{}", b"no", b"[1]", line("soon"), line(None), line(True), b'{"t": "\xff"}', line(0.5), b'{"t": 1e999}']
    reasons = [
        "missing-timestamp",
        "not-json",
        "not-an-object",
        "bad-timestamp",
        "missing-timestamp",
        "bad-timestamp",
        "invalid-utf8",
        "",
        "bad-timestamp",
    ]
    check(
        [batch(*lines)],
        [(None, reason, number, line) for number, (reason, line) in enumerate(zip(reasons, lines, strict=True), 1)],
    )


@pytest.mark.parametrize("time", ["1969-12-31T23:59:59Z", -1, 10**30, 1e300, "9" * 30, "10000-01-01"])
def test_times_beyond_the_calendar_of_readers_are_bad(time: Any) -> None:
    check([batch(line(time))], [(None, "bad-timestamp", 1, line(time))])


def test_the_last_day_of_readers_has_its_window() -> None:
    last = 253_402_214_400 - NEW_YEAR
    check([batch(line("9999-12-31T23:59:59.999999Z"))], [(last, "", 1, line("9999-12-31T23:59:59.999999Z"))])


def test_rejected_rows_and_lines_that_were_cut_go_on_as_they_are() -> None:
    [cut] = split_lines(iter([b'{"t": "2024-01-01", "x": "' + b"x" * 100]), max_line_bytes=50)
    row = RejectedRow("csv-row-length", "3 values", "a.csv", 2, b"1,2,3")
    check([row, cut], [(None, "csv-row-length", 2, b"1,2,3"), (None, "", 1, cut.lines[0])])


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b'{"a": 1}', ("missing-timestamp", "no field 't', or it is null")),
        (
            b'{"t": "soon"}',
            (
                "bad-timestamp",
                "field 't' is \"soon\", which is no time from 1970 to 9999: ISO 8601, or a number since 1970 in seconds, "
                "milli-, micro- or nanoseconds",
            ),
        ),
    ],
)
def test_a_fault_says_what_the_field_holds(line: bytes, fault: tuple[str, str]) -> None:
    assert fault_of(line, "t") == fault


@given(st.one_of(st.binary(max_size=20), st.recursive(st.none() | st.text(), st.lists).map(line)))
def test_every_line_without_a_time_has_a_reason(text: bytes) -> None:
    reason, detail = fault_of(text, "t")
    assert reason in REASONS
    assert detail


@pytest.mark.parametrize("field", ['a"b', "a\\b", "a\nb"])
def test_a_name_that_no_field_has_is_rejected(field: str) -> None:
    with pytest.raises(ConfigurationError, match="--timestamp_field="):
        EventTimes(field, DAY)
