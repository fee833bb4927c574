"""For which window a record of a source counts."""

from __future__ import annotations

import pickle
from typing import Any

from beam_s3box.jobs.options.windows import MICROS, Timing, WindowSpec
from beam_s3box.jobs.read.source_times import SourceTimes
from beam_s3box.sources.source import Fetched
from beam_s3box.sources.times import Placed

NOW = 1_700_000_020
"""In the middle of a minute."""

MINUTE = 60 * MICROS
MINUTES = WindowSpec(60, 60)
BEGIN = (NOW - 40) * MICROS
"""Of that minute."""


def place(
    *records: tuple[float, Any],
    field: str | None = "t",
    watermark: float | None = None,
    lateness: float = 0,
    windows: WindowSpec = MINUTES,
) -> Placed:
    """Place records that came at a second, each with the value of its field."""
    fetched = Fetched(
        "a",
        "9",
        [int((NOW + came) * 1000) for came, _ in records],
        [b"{}" if at is None else b'{"t":%d}' % (NOW + at) if isinstance(at, int) else at for _, at in records],
        range(len(records)),
    )
    times = pickle.loads(pickle.dumps(SourceTimes(Timing(windows, field, 2, lateness, None))))
    found: Placed = times.place(fetched, None if watermark is None else int((NOW + watermark) * MICROS), NOW * MICROS)
    return found


def groups(placed: Placed) -> dict[int, list[int]]:
    return {(begin - BEGIN) // MINUTE: list(places) for begin, places in placed.groups.items()}


def counted(placed: Placed) -> dict[str, int]:
    return {name: number for name, number in placed.counts.items() if number}


def test_without_a_field_the_source_says_when() -> None:
    placed = place((-100, 0), (-10, 0), (-70, 0), field=None)
    assert groups(placed) == {-1: [0, 2], 0: [1]}
    assert placed.latest == (NOW - 10) * MICROS
    assert counted(placed) == {}


def test_a_field_says_when() -> None:
    placed = place((0, -100), (0, -10))
    assert groups(placed) == {-1: [0], 0: [1]}
    assert placed.latest == (NOW - 10) * MICROS


def test_records_without_a_time_count_for_when_they_came() -> None:
    placed = place((-100, None), (-100, b"no json"), (-100, 5_000))
    assert groups(placed) == {-1: [0, 1, 2]}
    assert counted(placed) == {"records_untimed": 2, "records_ahead": 1}


def test_a_source_whose_clock_is_ahead_counts_as_the_present() -> None:
    placed = place((100_000, 0), field=None)
    assert groups(placed) == {0: [0]}
    assert placed.latest == NOW * MICROS


def test_lateness_is_measured_by_the_watermark() -> None:
    old = (-100_000, -100_000)
    assert counted(place(old, watermark=None)) == {}
    assert counted(place(old, watermark=-100_000)) == {}, "a backlog is on time"
    late = place(old, (0, 0), watermark=-200)
    assert groups(late) == {-3: [0], 0: [1]}, "it counts for where the watermark is"
    assert counted(late) == {"records_too_late": 1}
    assert groups(place((0, -100), watermark=-50)) == {-1: [0]}, "its window is still open"
    assert groups(place((0, -200), watermark=-50)) == {-1: [0]}
    assert groups(place((0, -200), watermark=-50, lateness=200)) == {-3: [0]}


def test_in_sliding_windows_a_record_is_read_once_for_each() -> None:
    placed = place((0, 0), (0, 0), windows=WindowSpec(180, 60))
    assert counted(placed) == {"records_read": 4}


def test_nothing_is_nothing() -> None:
    assert place() == Placed({}, 0, {"records_untimed": 0, "records_ahead": 0, "records_too_late": 0})
