from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.options.windows import MICROS, Timing, WindowSpec
from beam_s3box.jobs.read.event_times import AHEAD, Placed, Placer, micros_of

NEW_YEAR = 1_704_067_200 * MICROS
"""2024-01-01T00:00:00Z"""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-01-01", NEW_YEAR),
        ("20240101", NEW_YEAR),
        ("2024-01-01T00:00:00", NEW_YEAR),
        ("2024-01-01T00:00:00Z", NEW_YEAR),
        ("2024-01-01 02:00:00+02:00", NEW_YEAR),
        ("2024-01-01T00:00:00.25Z", NEW_YEAR + 250_000),
        ("2024-01-01T00:00:00.123456789Z", NEW_YEAR + 123_456),
        ("1704067200", NEW_YEAR),
        ("1704067200.5", NEW_YEAR + 500_000),
        (1_704_067_200, NEW_YEAR),
        (1_704_067_200.5, NEW_YEAR + 500_000),
        (1_704_067_200_001, NEW_YEAR + 1_000),
        (1_704_067_200_000_001, NEW_YEAR + 1),
        (1_704_067_200_000_001_999, NEW_YEAR + 1),
        (0, 0),
    ],
)
def test_a_time_is_iso_or_a_number_in_any_usual_unit(value: str | int | float, expected: int) -> None:
    assert micros_of(value) == expected


@pytest.mark.parametrize("value", [None, "", "yesterday", "2024-13-01", "1969-12-31T23:59:59Z", -1, -0.5, "9" * 5_000])
def test_what_names_no_time_since_1970_is_none(value: str | int | float | None) -> None:
    assert micros_of(value) is None


def test_huge_numbers_are_times_far_ahead_and_no_error() -> None:
    assert micros_of(10**400) == 10**397
    assert (micros_of(1e300) or 0) > 10**200


def placer(
    field: str | None = "t", *, delay: float = 60, lateness: float = 100, windows: tuple[int, int] = (10, 10)
) -> Placer:
    return Placer(Timing(WindowSpec(*windows), field, delay, lateness, None))


def line(time: object) -> bytes:
    return json.dumps({"a": [1], "t": time}).encode()


def at(seconds: float) -> int:
    return NEW_YEAR + int(seconds * MICROS)


def test_without_a_field_all_lines_count_for_when_their_file_arrived() -> None:
    lines = [b"x", line(0)]
    assert placer(None).place(lines, at(12.5)) == Placed({at(10): range(2)})


def test_lines_go_to_the_periods_of_their_times_in_order() -> None:
    lines = [line(1_704_067_200 + second) for second in (5, 15, 9.9, 10)]
    placed = placer().place(lines, at(20))
    assert placed == Placed({at(0): [0, 2], at(10): [1, 3]})


@pytest.mark.parametrize(
    "line",
    [
        b"no json",
        b'{"a": 1}',
        b"[1]",
        b"7",
        line(None),
        line(True),
        line([1]),
        line("then"),
        line(-5),
        b'{"t": 1e999}',
        b'{"t": NaN}',
        b'{"t": -Infinity}',
        line("NaN"),
        line("inf"),
        line("0000-01-01"),
        line("10000-01-01"),
        line(-1e300),
    ],
)
def test_a_line_without_a_usable_time_counts_for_when_its_file_arrived(line: bytes) -> None:
    assert placer().place([line], at(12)) == Placed({at(10): [0]}, untimed=1)


def test_a_line_from_the_future_counts_for_when_its_file_arrived() -> None:
    soon, later = line((at(12) + AHEAD) / MICROS), line((at(12) + AHEAD) / MICROS + 1)
    placed = placer().place([soon, later], at(12))
    assert placed == Placed({at(610): [0], at(10): [1]}, ahead=1)


@pytest.mark.parametrize("time", [10**30, 1e300, "99999999999999999999", "9999-12-31T23:59:59.999999Z"])
def test_a_line_from_beyond_all_calendars_stops_no_other_one(time: object) -> None:
    wrong, right = line(time), line(at(12) / MICROS)
    assert placer().place([wrong, right], at(12)) == Placed({at(10): [0, 1]}, ahead=1)


@pytest.mark.parametrize(("windows", "each_in"), [((10, 10), 1), ((60, 10), 6)])
def test_a_line_is_too_late_when_the_first_of_its_windows_is_gone(windows: tuple[int, int], each_in: int) -> None:
    """The watermark is at 1000 - 60, and lateness ends 100 before: at 840 the period that begins there is still open."""
    open_, gone = line(1_704_067_200 + 840), line(1_704_067_200 + 839.999)
    placed = placer(windows=windows).place([gone, open_], at(1_000))
    assert placed == Placed({at(1_000): [0], at(840): [1]}, too_late=1)


@given(
    times=st.lists(
        st.one_of(st.none(), st.integers(0, 3_000), st.text(max_size=3), st.floats(allow_nan=False)), max_size=20
    ),
    arrived=st.integers(0, 3_000),
    delay=st.integers(0, 100),
    lateness=st.integers(0, 100),
    period=st.integers(1, 60),
    each_in=st.integers(1, 4),
)
def test_no_line_is_lost_nor_put_where_no_manifest_would_list_it(
    times: list[object], arrived: int, delay: int, lateness: int, period: int, each_in: int
) -> None:
    lines = [json.dumps({"t": time, "i": i}).encode() for i, time in enumerate(times)]
    windows = WindowSpec(period * each_in, period)
    placed = Placer(Timing(windows, "t", delay, lateness, None)).place(lines, arrived * MICROS)
    assert sorted(at for group in placed.groups.values() for at in group) == list(range(len(lines)))
    watermark = (arrived - delay) * MICROS
    for start in placed.groups:
        first_end = start + period * MICROS
        # Beam drops what is later than a window's last microsecond and the lateness
        assert first_end - 1 + lateness * MICROS >= watermark


@pytest.mark.parametrize("field", ['a"b', "a\\b", "a\nb"])
def test_a_name_that_no_field_has_is_rejected(field: str) -> None:
    with pytest.raises(ConfigurationError, match="--timestamp_field="):
        placer(field)
