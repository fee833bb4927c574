from __future__ import annotations

import pytest
from apache_beam.transforms.window import FixedWindows, SlidingWindows, WindowFn
from apache_beam.utils.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.options.windows import MICROS, WindowSpec, parse_windows


def test_windows_by_name() -> None:
    assert parse_windows("fixed:60") == WindowSpec(60, 60)
    assert parse_windows("sliding:60:10") == WindowSpec(60, 10)
    assert parse_windows("fixed:60").windowfn() == FixedWindows(60)
    assert parse_windows("sliding:60:10").windowfn() == SlidingWindows(60, 10)
    assert (parse_windows("fixed:60").each_in, parse_windows("sliding:60:10").each_in) == (1, 6)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "60",
        "fixed",
        "fixed:",
        "fixed:0",
        "fixed:-1",
        "fixed:1.5",
        "fixed:60:10",
        "sliding:60",
        "global",
        " fixed:1",
    ],
)
def test_what_names_no_windows_is_refused_with_what_would(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"must be fixed:SECONDS or sliding:SECONDS:PERIOD") as caught:
        parse_windows(text)
    assert f"--window={text!r}" in str(caught.value)


@pytest.mark.parametrize("text", ["fixed:400000d", "fixed:1000000000", "sliding:2000000000:1000000000"])
def test_windows_that_are_too_long_are_refused_with_the_maximum(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"more than the maximum of 999999999 seconds: give fewer"):
        parse_windows(text)
    assert parse_windows("fixed:999999999") == WindowSpec(999_999_999, 999_999_999)


@pytest.mark.parametrize("text", ["sliding:60:25", "sliding:10:60"])
def test_periods_that_do_not_share_windows_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="must divide its"):
        parse_windows(text)


@given(
    period=st.integers(1, 100),
    each_in=st.integers(1, 5),
    micros=st.integers(0, 10**12),
    other=st.integers(0, 10**8),
)
def test_times_of_a_period_share_their_windows(period: int, each_in: int, micros: int, other: int) -> None:
    spec = WindowSpec(period * each_in, period)
    start = spec.start_of(spec.period_of(micros))
    assert start <= micros < start + period * MICROS
    windows = windows_at(spec, micros)
    assert windows_at(spec, start) == windows_at(spec, start + other % (period * MICROS)) == windows
    assert len(windows) == spec.each_in
    assert min(end for _, end in windows) == spec.start_of(spec.period_of(micros) + 1)


def windows_at(spec: WindowSpec, micros: int) -> set[tuple[int, int]]:
    assigned = spec.windowfn().assign(WindowFn.AssignContext(Timestamp(micros=micros)))
    return {(window.start.micros, window.end.micros) for window in assigned}
