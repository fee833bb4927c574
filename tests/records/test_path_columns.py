"""Columns in a path become fields of its records, and take none of theirs."""

from __future__ import annotations

import json

import pytest

from beam_s3box.records.batches import LineBatch
from beam_s3box.records.path_columns import columns_of, with_columns


def test_columns_of_a_path() -> None:
    assert columns_of("s3://box/in/dt=2024-01-01/hour=07/part=1.jsonl") == {"dt": "2024-01-01", "hour": "07"}
    assert columns_of("in/day=a%2Fb%20c/n=__HIVE_DEFAULT_PARTITION__/e=/x") == {"day": "a/b c", "n": None, "e": ""}
    assert columns_of("in/a=b=c/=d/x") == {"a": "b=c"}
    assert columns_of("dt=1.jsonl") == {}


def test_what_is_no_text_when_it_is_decoded_stays_as_it_is() -> None:
    assert columns_of("in/dt=%FF/d%fe=a%2Fb/e=%C3%A9/x") == {"dt": "%FF", "d%fe": "a/b", "e": "é"}


def test_a_name_with_a_slash_is_known_however_it_is_written() -> None:
    lines = [rb'{"a\/b":1}', b'{"a/b":1}', rb'{"a\u002fb":1}', rb'{"i":"\/"}']
    batch = with_columns(LineBatch(lines, "a", range(4)), columns_of("in/a%2Fb=x/f"))
    assert batch.lines == [*lines[:3], rb'{"a/b":"x","i":"\/"}']


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"i":1.10}', b'{"dt":"x","n":null,"i":1.10}'),
        (b' { "i": 1 }', b'{"dt":"x","n":null,"i": 1 }'),
        (b"{ }", b'{"dt":"x","n":null}'),
        (b'{"i":{"dt":1}}', b'{"dt":"x","n":null,"i":{"dt":1}}'),
        (b'{"dt":1}', b'{"n":null,"dt":1}'),
        (b'{"d\\u0074":1}', b'{"n":null,"d\\u0074":1}'),
        (b'{"dt":1,"n":2}', b'{"dt":1,"n":2}'),
        (b"[1]", b"[1]"),
        (b'{"dt"', b'{"dt"'),
        (b"\0cut", b"\0cut"),
    ],
)
def test_records_take_columns(line: bytes, expected: bytes) -> None:
    batch = with_columns(LineBatch([line], "a", [7]), {"dt": "x", "n": None})
    assert batch == LineBatch([expected], "a", [7])
    if expected.startswith(b"{") and expected.endswith(b"}"):
        assert len(json.loads(expected)) == expected.count(b":") - expected.count(b":{")


def test_a_path_without_columns_changes_nothing() -> None:
    batch = LineBatch([b"{}"], "a", [1])
    assert with_columns(batch, {}) is batch
