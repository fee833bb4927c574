"""Classes of histograms hold every number once, and their edges are round."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_s3box.runs.report.scales import (
    Histogram,
    linear_histogram,
    log_histogram,
    seconds_histogram,
    short_seconds,
    ticks,
)

NUMBERS = st.lists(st.floats(0, 1e12), max_size=50)


def check(histogram: Histogram, values: list[float]) -> None:
    assert sum(histogram.counts) == len(values)
    assert len(histogram.edges) == len(histogram.counts) + 1
    assert list(histogram.edges) == sorted(set(histogram.edges))
    for value in values:
        assert 0 <= histogram.place(value) <= len(histogram.counts)


@given(NUMBERS)
def test_every_number_is_in_one_class(values: list[float]) -> None:
    check(log_histogram(values, 100), values)
    check(linear_histogram(values), values)
    check(seconds_histogram(values), values)


def test_sizes_are_by_one_two_and_five() -> None:
    histogram = log_histogram([300, 40_000, 70_000], 100, [65_536])
    assert histogram.edges[:4] == (200, 500, 1_000, 2_000)
    assert histogram.edges[-1] == 100_000
    assert histogram.place(65_536) == pytest.approx(len(histogram.counts) - 0.61, abs=0.01)


def test_times_are_by_what_clocks_have_names_for() -> None:
    histogram = seconds_histogram([12, 45, 200])
    assert [short_seconds(edge) for edge in histogram.edges] == ["10 s", "20 s", "30 s", "1 min", "2 min", "5 min"]
    assert histogram.counts == (1, 0, 1, 0, 1)


def test_ticks_reach_the_highest_column() -> None:
    assert ticks(0) == [0, 1]
    assert ticks(3) == [0, 1, 2, 3]
    assert ticks(730) == [0, 200, 400, 600, 800]
