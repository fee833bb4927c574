from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from apache_beam.metrics.monitoring_infos import int64_user_counter
from apache_beam.portability.api import beam_job_api_pb2
from apache_beam.runners.portability.portable_runner import PipelineResult as PortableResult

from beam_s3box.cli.console.report import RunReport, StreamTotals
from beam_s3box.cli.console.table import (
    balance_line,
    cell_width,
    dead_letter_lines,
    rate_line,
    render_table,
)
from beam_s3box.cli.console.tallies import Tally, render_summary, sum_tallies, tally_of_input
from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.input_totals import DeadLetterReason, InputTotals
from beam_s3box.jobs.run.counters import counted, records_in_of
from beam_s3box.jobs.totals.summary import summary_key
from beam_s3box.shards.keys import Layout
from beam_s3box.sizes import format_seconds

TALLIES = [
    (("web", "clicks"), Tally(30, 2, 3000, 300, 30, 0, ("m2", "m1"))),
    (("app", "a/b"), Tally(10, 1, 1000, 200, 10, 0, ("m3",))),
    (("", ""), Tally(dead_letters=2)),
]


def report_of(tallies: Iterable[tuple[tuple[str, str], Tally]], records_in: int = 42) -> RunReport:
    return RunReport.of_summary(render_summary("r", tallies), records_in)


def test_a_summary_holds_streams_by_name_and_the_sums() -> None:
    report = report_of(TALLIES)
    assert report.streams == [
        StreamTotals("app", "a/b", 10, 1, 1000, 200, ["m3"]),
        StreamTotals("web", "clicks", 30, 2, 3000, 300, ["m1", "m2"]),
    ]
    assert (report.run_id, report.records_listed, report.dead_letters) == ("r", 40, 2)
    assert report.manifests == ["m1", "m2", "m3"]


def test_manifests_of_the_run_belong_to_no_stream() -> None:
    report = report_of([(("a", "b"), Tally(5, 1, 50, 20)), (("", ""), Tally(listed=5, manifests=("m",)))], 5)
    assert report.streams[0].manifests == []
    assert (report.manifests, report.records_listed) == (["m"], 5)
    assert report.balances


def test_a_summary_of_nothing() -> None:
    report = report_of([], 0)
    assert (report.streams, report.manifests, report.records_listed) == ([], [], 0)
    assert report.balances
    assert render_table(report).splitlines()[-1].split() == ["0", "streams", "0", "0", "0", "B", "0", "B", "-"]


def test_a_report_balances_when_every_record_is_somewhere() -> None:
    assert report_of(TALLIES, 42).balances
    assert not report_of(TALLIES, 43).balances
    assert balance_line(report_of(TALLIES, 42)) == "42 records read = 40 listed + 2 dead letters"
    assert balance_line(report_of(TALLIES, 43)) == "43 records read ≠ 40 listed + 2 dead letters"


def test_the_report_as_json_has_the_fields_that_are_promised() -> None:
    values = json.loads(report_of(TALLIES).to_json())
    totals = ["run_id", "records_in", "records_listed", "dead_letters"]
    assert list(values) == [*totals, "streams", "manifests", "seconds", "dead_letter_reasons"]
    assert list(values["streams"][0]) == [
        "domain",
        "namespace",
        "records",
        "shards",
        "raw_bytes",
        "object_bytes",
        "manifests",
    ]


def test_reasons_of_dead_letters_are_in_the_report_and_below_the_table() -> None:
    missing = DeadLetterReason(
        "missing-stream", 2, "no field 'd'", "fields there: D; did you mean 'D'?", "f", 3, None, "{}"
    )
    other = dataclasses.replace(missing, reason="not-json", records=9, hint="", source="", line=None)
    totals = [InputTotals(40, 2, {"missing-stream": missing}), InputTotals(0, 9, {"not-json": other})] * 2
    report = report_of(sum_tallies([*TALLIES[:2], *map(tally_of_input, totals)]).items(), 62)
    assert report.balances
    assert dead_letter_lines(report) == [
        "  18 not-json: no field 'd'",
        "  4 missing-stream: no field 'd'; fields there: D; did you mean 'D'? (f, line 3)",
    ]
    assert json.loads(report.to_json())["dead_letter_reasons"][1] == {
        "reason": "missing-stream", "records": 4, "detail": "no field 'd'",
        "hint": "fields there: D; did you mean 'D'?", "source": "f", "line": 3, "offset": None, "example": "{}",
    }  # fmt: skip


def test_the_table_has_a_row_for_each_stream_and_the_totals() -> None:
    assert render_table(report_of(TALLIES)) == "\n".join(
        [
            "stream      records  shards     raw  on S3  ratio  manifests",
            "------------------------------------------------------------",
            "app/a%2Fb        10       1  1.0 KB  200 B    5.0          1",
            "web/clicks       30       2  3.0 KB  300 B   10.0          2",
            "------------------------------------------------------------",
            "2 streams        40       3  4.0 KB  500 B    8.0          3",
        ]
    )


def test_of_many_streams_the_largest_are_shown_and_the_rest_summed() -> None:
    tallies = [((f"d{i}", "n"), Tally(1, 1, 100, i + 1, 1, 0, (f"m{i}",))) for i in range(60)]
    lines = render_table(report_of(tallies, 60)).splitlines()
    assert lines[2].startswith("d59/n ")
    assert lines[51].startswith("d10/n ")
    assert lines[52].split() == ["…", "and", "10", "more", "10", "10", "1.0", "KB", "55", "B", "18.2", "10"]
    assert lines[-1].startswith("60 streams")
    assert len(lines) == 55


def test_the_table_fits_the_terminal() -> None:
    tallies = [(("d" * 40, "日本" * 20), Tally(1, 1, 100, 1, 1, 0, ("m",))), (("a", "b"), Tally(1, 1, 100, 1))]
    for width in (60, 80, 100):
        lines = render_table(report_of(tallies), width).splitlines()
        assert max(map(cell_width, lines)) <= width
        assert lines[2].startswith("a/b ")
        assert "…" in lines[3]


def test_names_are_shown_as_people_write_them() -> None:
    lines = render_table(report_of([(("ü€ 日本", "a/b\x1b[31m"), Tally(1, 1, 100, 1))])).splitlines()
    assert lines[2].startswith("ü€ 日本/a%2Fb\\x1b[31m ")
    assert cell_width(lines[2]) == cell_width(lines[0])


def test_no_column_is_empty() -> None:
    assert "manifests" not in render_table(report_of([(("a", "b"), Tally(1, 1, 100, 1))]))
    run = [(("a", "b"), Tally(1, 1, 100, 1)), (("", ""), Tally(listed=1, manifests=("m",)))]
    assert "manifests" not in render_table(report_of(run))


def test_how_long_it_took_and_how_fast_it_was() -> None:
    report = dataclasses.replace(report_of(TALLIES, 42), seconds=0.5)
    assert rate_line(report) == "0.5 s, 84 records/s, 8.0 KB/s"
    assert [format_seconds(seconds) for seconds in (0.04, 59.94, 125, 12_000)] == [
        "0.0 s",
        "59.9 s",
        "2 min 5 s",
        "3 h 20 min",
    ]


def test_a_long_name_does_not_break_the_table() -> None:
    line = render_table(report_of([(("d" * 100, "n"), Tally(1, 1, 100, 1))])).splitlines()[2]
    assert line.startswith("d" * 59 + "… ")


def counter(name: str, committed: int | None, attempted: int) -> SimpleNamespace:
    return SimpleNamespace(
        key=SimpleNamespace(metric=SimpleNamespace(name=name)), committed=committed, attempted=attempted
    )


class Result:
    def metrics(self) -> Result:
        return self

    def query(self, _: object) -> dict[str, list[SimpleNamespace]]:
        return {"counters": [counter("records_in", 5, 9), counter("records_in", None, 2), counter("shards", 0, 3)]}


def test_committed_counts_go_before_attempted_ones() -> None:
    assert counted(Result()) == {"records_in": 7, "shards": 0}
    assert records_in_of(Result()) == 7


class JobService:
    """A job server whose counter has grown each time it is asked."""

    def __init__(self) -> None:
        self._asked = 0

    def GetJobMetrics(self, _: object) -> Any:
        self._asked += 1
        counter = int64_user_counter("beam_s3box", "records_in", self._asked, ptransform="Read")
        return beam_job_api_pb2.GetJobMetricsResponse(metrics=beam_job_api_pb2.MetricResults(attempted=[counter]))


def test_a_job_server_is_asked_anew_each_time() -> None:
    result = PortableResult(JobService(), "job", (), ())
    assert [records_in_of(result), records_in_of(result)] == [1, 2]


def test_a_summary_is_one_executions_alone() -> None:
    """One of an earlier execution of the same run id would end a job on Flink at once, with totals of another's."""
    keys = {summary_key(RunClaim(Layout(run_id), attempt)) for run_id in ("r", "s") for attempt in ("a", "b")}
    assert len(keys) == 4
    assert summary_key(RunClaim(Layout("r"), "a")) == "runs/r/a/summary.json"
