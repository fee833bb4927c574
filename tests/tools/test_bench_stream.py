"""The bench of the stateful path: it runs on tiny data, and its figures are computed right."""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import apache_beam as beam
import pytest

from beam_s3box.stores import LocalStore
from tests.readback import read_back
from tools.bench.data import make_lines
from tools.bench.measure import json_of
from tools.bench_stream import figures
from tools.bench_stream.__main__ import SCENES, rows_of
from tools.bench_stream.figures import Figure, Round
from tools.bench_stream.source import ReadStream, blocks_of, lines_of
from tools.bench_stream.tally import Tally

STREAMS = 3
RECORDS = 100


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return make_lines(tmp_path_factory.mktemp("bench") / "lines.jsonl", RECORDS, STREAMS)


def run_of(seconds: float, records: int = 100, **counts: int) -> dict[str, Any]:
    return {"seconds": seconds, "records": records, "counts": counts}


ROUND = Round(run_of(3.0, records_in=100, state_reads=1, state_writes=2), run_of(10.0), run_of(1.0))


@pytest.mark.parametrize("writer", ["ours", "theirs", "read"])
def test_each_pipeline_handles_every_record(writer: str, data: pathlib.Path, tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "tools.bench_stream.cases", writer, str(data), str(tmp_path / "out")]
    run = json_of([*command, "--block_lines=7"])
    assert run["records"] == RECORDS
    assert run["seconds"] > 0
    assert run["peak_bytes"] > 50_000_000
    if writer == "ours":
        assert run["counts"]["records_in"] == RECORDS
        assert run["counts"]["state_writes"] >= STREAMS
        assert len(read_back(LocalStore(tmp_path / "out")).all_records()) == RECORDS
    elif writer == "theirs":
        objects = [info.key for info in LocalStore(tmp_path / "out").list()]
        assert [key.split("/")[2] for key in objects] == ["00000", "00001", "00002"]


def test_blocks_are_the_file(data: pathlib.Path) -> None:
    body = data.read_bytes()
    blocks = list(blocks_of(data, 7))
    assert b"".join(body[offset : offset + size] for offset, size in blocks) == body
    assert [body[offset : offset + size].count(b"\n") for offset, size in blocks] == [7] * 14 + [2]
    assert list(lines_of(data)) == body.splitlines()


@pytest.mark.parametrize("block_lines", [7, None])
@pytest.mark.parametrize("unbounded", [False, True])
def test_the_source_is_as_bounded_as_it_says(data: pathlib.Path, block_lines: int | None, unbounded: bool) -> None:
    lines = beam.Pipeline(runner="FnApiRunner") | ReadStream(data, block_lines, unbounded=unbounded)
    assert lines.is_bounded is not unbounded
    assert lines.element_type is bytes


def test_time_goes_from_the_first_begin_to_the_last_output() -> None:
    moments = iter([10.0, 11.5, 14.0])
    tally = Tally(lambda: next(moments))
    assert tally.seconds == 0.0
    tally.begin()
    tally.begin()
    tally.add(5)
    tally.add(2)
    assert (tally.seconds, tally.records) == (4.0, 7)


def test_ratios_are_of_rates() -> None:
    assert figures.speed_up(ROUND) == pytest.approx(10 / 3)
    assert figures.speed_up_without_source(ROUND) == pytest.approx(9 / 2)
    assert figures.share_of_read(ROUND) == pytest.approx(1 / 3)
    assert figures.state_traffic(ROUND.ours) == pytest.approx(0.03)


def test_a_figure_is_the_median_with_its_range() -> None:
    assert Figure.of([4.0, 1.0, 2.0]) == (2.0, 1.0, 4.0)
    rounds = [ROUND._replace(theirs=run_of(seconds)) for seconds in (6.0, 30.0, 9.0)]
    assert figures.summary(rounds)["speed_up"] == pytest.approx((3.0, 2.0, 10.0))


def test_a_run_that_lost_records_is_no_measurement() -> None:
    assert figures.check(ROUND.ours, 100) is ROUND.ours
    with pytest.raises(RuntimeError, match="a run wrote 100 records of 101"):
        figures.check(ROUND.ours, 101)


def test_the_table_says_which_goals_are_met() -> None:
    slow = ROUND._replace(theirs=run_of(8.9))
    for rounds, met in (([ROUND], "yes"), ([slow], "NO")):
        rows = {row[0]: row[1:] for row in rows_of(SCENES[0], figures.summary(rounds))}
        assert (rows["ours : GroupIntoBatches"][0], rows["ours : GroupIntoBatches"][3]) == (">= 3", met)
        assert rows["state reads and writes a record"] == ("< 0.01", "0.0300", "0.0300 - 0.0300", "NO")
    rows = {row[0]: row[1:] for row in rows_of(SCENES[2], figures.summary([ROUND]))}
    assert rows["state reads and writes a record"] == ("", "0.0300", "0.0300 - 0.0300", "")


def test_a_failed_case_shows_why(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "tools.bench_stream.cases", "read", str(tmp_path / "none"), "x"]
    with pytest.raises(RuntimeError, match=r"exited with 1:(.|\n)*No such file or directory"):
        json_of(command)
