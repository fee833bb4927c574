"""Names of windows are read back, and times in keys are those of the calendar, in any year that Beam has."""

from __future__ import annotations

import datetime

import pytest
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP
from hypothesis import example, given
from hypothesis import strategies as st

from beam_s3box.shards.window_names import Bounds, bounds_of, format_moment, moment_name, window_name
from beam_s3box.shards.window_names import unsupported_directive as unsupported

MICROS = st.integers(MIN_TIMESTAMP.micros, MAX_TIMESTAMP.micros)
ALL = "%Y %y %m %d %j %H %M %S %G %V %u"


@given(MICROS, MICROS)
@example(MIN_TIMESTAMP.micros, MAX_TIMESTAMP.micros)
@example(0, 1)
def test_a_name_tells_the_bounds(start: int, end: int) -> None:
    assert bounds_of(window_name(start, end)) == Bounds(start, end)
    assert bounds_of(f"until-{moment_name(end)}-0123abcd") == Bounds(None, end)


@pytest.mark.parametrize("name", ["", "20261122T101500Z", "until-then-0", "x-y", "20261122T101500Z-20261122T101600Z/"])
def test_what_is_no_name_has_no_bounds(name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a window"):
        bounds_of(name)


@given(st.datetimes(datetime.datetime(1000, 1, 1), datetime.datetime(9999, 12, 31), timezones=st.just(datetime.UTC)))
def test_times_are_those_of_strftime(moment: datetime.datetime) -> None:
    micros = (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(microseconds=1)
    assert format_moment(micros, ALL) == moment.strftime(ALL)


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (-62_135_596_800_000_000, "0001-01-01"),
        (253_402_300_799_999_999, "9999-12-31"),
        (253_402_300_800_000_000, "Y010000-01-01"),
        (-62_135_596_800_000_001, "-000000-12-31"),
        (MAX_TIMESTAMP.micros, "Y294247-01-10"),
        (MIN_TIMESTAMP.micros, "-290308-12-21"),
    ],
)
def test_years_of_any_length_can_be_written(micros: int, text: str) -> None:
    assert format_moment(micros, "%Y-%m-%d") == text


@pytest.mark.parametrize("year", [2000, 2009, 2100])
def test_a_year_of_two_digits(year: int) -> None:
    begin = datetime.datetime(year, 1, 1, tzinfo=datetime.UTC)
    assert format_moment(int(begin.timestamp()) * 1_000_000, "%y") == str(year)[2:]


def test_the_week_of_a_year_is_of_the_year_that_it_is_counted_in() -> None:
    begin = datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)
    assert format_moment(int(begin.timestamp()) * 1_000_000, "%G-W%V-%u") == "2026-W53-5"


@pytest.mark.parametrize(("form", "first"), [("%A", "%A"), ("%", "%"), ("%Y%", "%"), ("%%", "%%"), ("%-d", "%-")])
def test_directives_that_depend_on_a_locale_or_platform_are_known_as_such(form: str, first: str) -> None:
    assert unsupported(form) == first
    assert unsupported(ALL) is None
