"""Dates and timestamps in a load."""

from __future__ import annotations

import json
from typing import Any

import pytest

_AUTO = "FORMAT AS JSON 'auto' TIMEFORMAT 'auto' DATEFORMAT 'auto'"


def loaded(table: Any, type_name: str, value: Any, options: str) -> str | None:
    table.create(f"a {type_name}").load(json.dumps({"a": value}), options)
    text: str | None = table.run("SELECT a::varchar FROM t")[0][0]
    return text


@pytest.mark.parametrize(
    ("type_name", "value", "expected"),
    [
        ("timestamp", "2019-02-11 05:09:12", "2019-02-11 05:09:12"),
        ("timestamp", "2019-02-11 05:09:12.123456", "2019-02-11 05:09:12.123456"),
        ("timestamptz", "2019-02-11 05:09:12-08:00", "2019-02-11 13:09:12+00"),
        ("date", "2019-02-11", "2019-02-11"),
        ("date", "2019-02-11 23:59:59", "2019-02-11"),
    ],
)
def test_default_formats(table: Any, type_name: str, value: str, expected: str) -> None:
    """dg:r_DATEFORMAT_and_TIMEFORMAT_strings: the defaults; a time in a DATE is dropped: dg:automatic-recognition."""
    assert loaded(table, type_name, value, "FORMAT AS JSON 'auto'") == expected


@pytest.mark.parametrize("type_name", ["timestamp", "timestamptz"])
@pytest.mark.parametrize("value", ["2019-02-11T05:09:12", "2019-02-11T05:09:12.195Z", "2019-02-11", 1549861752])
def test_the_default_is_not_iso(table: Any, type_name: str, value: Any) -> None:
    """dg:r_DATEFORMAT_and_TIMEFORMAT_strings: YYYY-MM-DD HH:MI:SS, and nothing else."""
    reason = table.create(f"a {type_name}").fails(json.dumps({"a": value}))
    assert reason == "Invalid timestamp format or value [YYYY-MM-DD HH24:MI:SS]"


@pytest.mark.parametrize(
    ("type_name", "value", "expected"),
    [
        ("timestamp", "2019-02-11T05:09:12.195Z", "2019-02-11 05:09:12.195"),
        ("timestamp", "2019-02-11", "2019-02-11 00:00:00"),
        ("timestamp", "2019-02-11T05:09:12+02:00", "2019-02-11 05:09:12"),
        ("timestamptz", "2019-02-11T05:09:12.195Z", "2019-02-11 05:09:12.195+00"),
        ("timestamptz", "2019-02-11 05:09:12+0200", "2019-02-11 03:09:12+00"),
        ("timestamptz", "20190211", "2019-02-11 00:00:00+00"),
        ("date", "2019/02/11", "2019-02-11"),
        ("date", "2019-02-11T23:59:59Z", "2019-02-11"),
    ],
)
def test_auto(table: Any, type_name: str, value: str, expected: str) -> None:
    """dg:automatic-recognition, dg:r_DATEFORMAT_and_TIMEFORMAT_strings: ISO 8601 and the time left out."""
    assert loaded(table, type_name, value, _AUTO) == expected


@pytest.mark.parametrize(
    "value",
    [
        "2019-02-30T00:00:00Z",
        "2019-02-11T05:09:12.1234567Z",
        "2019-02-11T25:00:00Z",
        "yesterday",
        1549861752,
        1549861752195,
    ],
)
def test_auto_knows_no_epochs_and_six_digits(table: Any, value: Any) -> None:
    """dg:automatic-recognition: it doesn't support epochsecs and epochmillisecs; microseconds are the finest."""
    reason = table.create("a timestamptz").fails(json.dumps({"a": value}), _AUTO)
    assert reason == "Invalid timestamp format or value [auto]"


@pytest.mark.parametrize(
    ("unit", "value", "expected"),
    [
        ("epochsecs", 1549861752, "2019-02-11 05:09:12"),
        ("epochmillisecs", 1549861752195, "2019-02-11 05:09:12.195"),
        ("epochmillisecs", "-1", "1969-12-31 23:59:59.999"),
    ],
)
def test_epochs(table: Any, unit: str, value: Any, expected: str) -> None:
    """dg:copy-parameters-data-conversion, TIMEFORMAT."""
    table.create("a timestamp, b timestamptz")
    table.load(json.dumps({"a": value, "b": value}), f"FORMAT AS JSON 'auto' TIMEFORMAT '{unit}'")
    assert table.run("SELECT a::varchar, b::varchar FROM t") == [(expected, expected + "+00")]


def test_epochs_are_for_all_columns_and_their_words_have_a_case(table: Any) -> None:
    """dg:copy-parameters-data-conversion: the keywords are case-sensitive."""
    table.create("a timestamp")
    assert table.fails('{"a": "2019-02-11 05:09:12"}', "FORMAT AS JSON 'auto' TIMEFORMAT 'epochsecs'").startswith(
        "Invalid timestamp"
    )
    assert table.fails('{"a": 1}', "FORMAT AS JSON 'auto' TIMEFORMAT 'EPOCHSECS'").startswith("Invalid timestamp")


@pytest.mark.parametrize(
    ("options", "type_name", "value", "expected"),
    [
        ("DATEFORMAT 'MM-DD-YYYY'", "date", "02-11-2019", "2019-02-11"),
        ("DATEFORMAT AS 'MON-DD-YYYY'", "date", "Feb-11-2019", "2019-02-11"),
        ("TIMEFORMAT 'MM/DD/YYYY HH24:MI:SS'", "timestamp", "02/11/2019 17:09:12", "2019-02-11 17:09:12"),
        ("TIMEFORMAT 'YYYY.MM.DD HH12:MI AM'", "timestamp", "2019.02.11 05:09 PM", "2019-02-11 17:09:00"),
    ],
)
def test_formats_of_ones_own(table: Any, options: str, type_name: str, value: str, expected: str) -> None:
    """dg:r_DATEFORMAT_and_TIMEFORMAT_strings."""
    assert loaded(table, type_name, value, f"FORMAT AS JSON 'auto' {options}") == expected


def test_dates_that_are_none(table: Any) -> None:
    """dg:copy-parameters-data-conversion, ACCEPTANYDATE: NULL instead of an error."""
    table.create("a date")
    assert table.fails('{"a": "00/00/00"}', _AUTO).startswith("Invalid Date Format")
    assert table.load('{"a": "00/00/00"}', _AUTO + " ACCEPTANYDATE") == [(None,)]
