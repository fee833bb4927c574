from __future__ import annotations

import logging
import subprocess
import sys
import time

import pytest

from beam_s3box.jobs.run.progress import Progress, shown
from beam_s3box.metrics import PROGRESS, shared_by_children

TOTALS = {"records_in": 1234, "raw_bytes": 5_000_000, "shards": 2, "object_bytes": 1_500_000}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_line_tells_records_bytes_shards_and_rate() -> None:
    clock = Clock()
    progress = Progress(lambda: TOTALS, clock)
    clock.now += 10
    assert progress.line() == "1,234 records · 5.0 MB packed · 2 shards · 1.5 MB on S3 · 500.0 KB/s · 10 s"


def test_of_files_it_tells_how_much_is_read_and_how_long_it_takes_yet() -> None:
    clock = Clock()
    totals = {**TOTALS, "input_bytes": 20_000_000}
    progress = Progress(lambda: totals, clock, input_bytes=80_000_000)
    clock.now += 10
    assert progress.line() == (
        "25%, 20.0 MB of 80.0 MB read · 1,234 records · 5.0 MB packed · 2 shards · 1.5 MB on S3 · 2.0 MB/s · 10 s · "
        "30 s left"
    )
    totals["input_bytes"] = 90_000_000
    assert progress.line().startswith("100%, 80.0 MB of 80.0 MB read · ")
    assert "left" not in progress.line()


def test_the_rate_is_that_of_the_last_half_minute() -> None:
    clock = Clock()
    totals = {"input_bytes": 0, "records_in": 1}
    progress = Progress(lambda: totals, clock)
    for clock.now in range(101, 201):
        totals["input_bytes"] += 10_000_000
        progress.line()
    for clock.now in range(201, 261):
        totals["input_bytes"] += 1_000_000
        line = progress.line()
    assert " · 1.0 MB/s · " in line


def test_of_a_stream_it_tells_what_waits_how_long_and_what_is_late() -> None:
    clock = Clock()
    totals = {"records_in": 5, "files_found": 7, "files_read": 4, "records_late": 2, "manifests": 3}
    progress = Progress(lambda: {**totals, "file_lag_milliseconds": 4 * 12_500}, clock)
    clock.now += 1
    line = progress.line()
    for part in ("2 late", "3 files waiting", "3 manifests", "lag 12.5 s"):
        assert f" · {part} · " in line


def test_what_other_processes_count_is_seen_here() -> None:
    program = "from beam_s3box.metrics import PROGRESS, shared_by_children\nPROGRESS.count('records_in', 7)"
    with shared_by_children() as totals:
        assert totals() == {}
        for _ in range(2):
            subprocess.run([sys.executable, "-c", program], check=True)
        assert totals() == {"records_in": 14}
        progress = Progress(dict)
        progress.follow(totals, 0.5)
        assert "14 records" in progress.line()
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_quiet_run_shows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with shown(Progress(lambda: TOTALS), log_seconds=0.01, is_quiet=True):
        time.sleep(0.1)
    assert caplog.text == ""


def test_dead_letters_are_told_when_there_are_some() -> None:
    assert "1,234 records · 3 dead letters · " in Progress(lambda: {**TOTALS, "dead_letters": 3}).line()


def test_without_figures_it_says_that_it_works() -> None:
    clock = Clock()
    progress = Progress(lambda: {"records_in": 0}, clock)
    clock.now += 7.9
    assert progress.line() == "at work · 7 s"


def test_what_was_counted_before_does_not_count() -> None:
    PROGRESS.count("records_in", 5)
    progress = Progress()
    assert progress.line().startswith("at work")
    PROGRESS.count("records_in", 2)
    assert progress.line().startswith("2 records")


def test_remote_counters_are_asked_for_every_few_seconds_only() -> None:
    clock, asked = Clock(), list[float]()

    def ask() -> dict[str, int]:
        asked.append(clock.now)
        return TOTALS

    progress = Progress(dict, clock)
    progress.follow(ask)
    for clock.now in (100.0, 101.0, 104.9, 105.0, 106.0):
        assert progress.line().startswith("1,234 records")
    assert asked == [100.0, 105.0]


def test_the_larger_of_own_and_remote_counts_is_told() -> None:
    """Workers may be in this process while the runner reports nothing before the end, or elsewhere."""
    progress = Progress(lambda: {"records_in": 5, "shards": 1}, Clock())
    progress.follow(lambda: {"records_in": 3, "shards": 2, "dead_letters": 4})
    assert progress.line().startswith("5 records · 4 dead letters · 0 B packed · 2 shards")


def wait_for(caplog: pytest.LogCaptureFixture, text: str) -> None:
    deadline = time.monotonic() + 60
    while text not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_without_a_terminal_lines_go_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "beam_s3box.jobs.run.progress")
    with shown(Progress(lambda: TOTALS), log_seconds=0.01):
        wait_for(caplog, "1,234 records")


def test_counters_that_fail_end_the_lines_and_not_the_job(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> dict[str, int]:
        raise NotImplementedError("no metrics here")

    with shown(Progress(fail), log_seconds=0.01):
        wait_for(caplog, "no more progress lines")
