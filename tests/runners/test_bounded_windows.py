"""Bounded input in windows, and a backfill that fails, on every engine: its end fires each window, no clock does."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

from beam_s3box.shards.packing import BY_BUNDLE_END, BY_INPUT_END, BY_RAW_BYTES
from tests.readback import read_back
from tests.runners.feed import ROOT, Feed
from tests.runners.streamed import Streamed, bounds_of, streamed
from tests.runners.test_streams import fresh_store, s3_arguments
from tests.runners.windowed import LIMIT, RECORDS, START, record
from tools.seaweedfs import Server

DIRECT = "direct"
ENGINES = [DIRECT, "prism", "flink_local", "flink_cluster", "flink_cluster_2_62", "spark_local", "spark_cluster"]


def options_of(name: str, request: pytest.FixtureRequest) -> list[str]:
    """Return the options of an engine; Beam's own needs none to be started."""
    if name == DIRECT:
        return ["--runner=FnApiRunner"]
    options: list[str] = request.getfixturevalue(name).options()
    return options


@pytest.fixture(scope="module", params=ENGINES)
def run(request: pytest.FixtureRequest, s3_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Streamed:
    """One run on each engine, which all tests below look at."""
    store, notes = fresh_store(s3_server), tmp_path_factory.mktemp("windowed") / "notes.jsonl"
    arguments = [*options_of(request.param, request), *s3_arguments(s3_server)]
    command = [sys.executable, "-m", "tests.runners.windowed", store.root, str(notes), *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-4_000:]
    return streamed(Feed(0, start=START), store, s3_server.client(), notes)


def test_each_window_of_bounded_input_has_its_records_once(run: Streamed) -> None:
    found = sorted(run.found.all_records(), key=lambda one: int(one["i"]))
    assert found == [record(number) for number in range(RECORDS)]
    assert run.found.unlisted == []
    assert len({firing.window for firing in run.firings}) == 5
    for folder, records in run.found.records.items():
        begin, end = bounds_of(folder.rpartition("/")[2])
        assert all(begin <= one["t"] < end for one in records)
    for firing in run.firings:
        assert all(f"/feed/{firing.stream}/{firing.window}/" in url for url in firing.urls)


def test_limits_hold_for_bounded_input(run: Streamed) -> None:
    size = len(json.dumps(record(RECORDS - 1), separators=(",", ":")))
    assert max(note.records for note in run.notes) <= LIMIT // (size - 3)
    assert BY_RAW_BYTES in {note.sealed_by for note in run.notes}


def test_no_clock_seals_bounded_input(run: Streamed) -> None:
    """A thousandth of a second is its time limit."""
    assert {note.sealed_by for note in run.notes} <= {BY_RAW_BYTES, BY_BUNDLE_END, BY_INPUT_END}


def test_nothing_of_bounded_input_is_late_or_early(run: Streamed) -> None:
    """The newest records come first, and firings are asked for every second."""
    assert {firing.pane for firing in run.firings} == {0}
    assert len(run.firings) == 15


@pytest.mark.parametrize("name", [DIRECT, "prism", "flink_local", "spark_local"])
def test_a_backfill_that_fails_lists_nothing(
    name: str, request: pytest.FixtureRequest, s3_server: Server, tmp_path: pathlib.Path
) -> None:
    store, source = fresh_store(s3_server), tmp_path / "records.jsonl"
    lines = [json.dumps({"d": "d", "n": "x", "i": number}) for number in range(1_000)]
    source.write_text("\n".join([*lines, "no record"]))
    command = [
        *(sys.executable, "-m", "pipelines.backfill", f"--input={source}", f"--destination={store.root}"),
        *("--domain_field=d", "--namespace_field=n", "--max_records=100", "--on_bad_record=fail"),
        *s3_arguments(s3_server),
        *options_of(name, request),
    ]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stderr[-4_000:]
    assert "not-json" in ended.stderr
    assert read_back(store).manifests == {}
