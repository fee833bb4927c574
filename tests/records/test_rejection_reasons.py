"""Why a record is rejected: by its JSON, its size or a NUL, with its bytes as far as they could be read."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from beam_s3box.errors import RecordError
from beam_s3box.records import encoding as records
from beam_s3box.records.encoding import (
    INVALID_UTF8,
    LONE_SURROGATE,
    NOT_AN_OBJECT,
    NOT_JSON,
    NUL_CHARACTER,
    REASONS,
    TOO_LARGE,
    RecordRules,
    diagnose,
    original_bytes,
)
from tests.records.values import nested


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a":1}', None),
        (b' {"a":[1,{"b":null}]}\t', None),
        (b'{"a":1e400}', None),
        (b'{"a":[-' + b"1" * 5_000 + b"]}", None),
        (b"1" * 5_000, NOT_AN_OBJECT),
        (b'{"a":"\\ud83d\\udca7"}', None),
        (b"", NOT_JSON),
        (b"nonsense", NOT_JSON),
        (b'{"a":NaN}', NOT_JSON),
        (b'{"a":-Infinity}', NOT_JSON),
        (b"{'a':1}", NOT_JSON),
        (b'{"a":1}{"b":2}', NOT_JSON),
        (b'\xef\xbb\xbf{"a":1}', NOT_JSON),
        (b"[" * 100_000, NOT_JSON),
        (b'{"a":"\xff"}', INVALID_UTF8),
        (b'{"a":"\xed\xa0\x80"}', INVALID_UTF8),
        (b'{"a":"\\ud800"}', LONE_SURROGATE),
        (b'{"\\udfff":1}', LONE_SURROGATE),
        (b'{"a":"\\ud800","a":"x"}', LONE_SURROGATE),
        (b"[1]", NOT_AN_OBJECT),
        (b'"{}"', NOT_AN_OBJECT),
        (b"null", NOT_AN_OBJECT),
        (b"true", NOT_AN_OBJECT),
        (b"1.5", NOT_AN_OBJECT),
    ],
)
def test_explains_rejections(line: bytes, reason: str | None) -> None:
    rejection = diagnose(line)
    assert (rejection.reason if rejection else None) == reason
    assert rejection is None or str(rejection)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"[]", "array"),
        (b'"a"', "string"),
        (b"1", "number"),
        (b"1.5", "number"),
        (b"false", "boolean"),
        (b"null", "null"),
    ],
)
def test_a_rejection_names_the_json_type(line: bytes, shown: str) -> None:
    assert f"a JSON {shown}, not an object" in str(diagnose(line))


@pytest.mark.parametrize(
    ("record", "raw"),
    [
        (b"\xff\x00", b"\xff\x00"),
        ("ä", "ä".encode()),
        ("\ud800", b"\\ud800"),
        (
            {"a": {1}, "b": [None, "ä"], "c": datetime.date(2026, 1, 2)},
            b'{"a": "{1}", "b": [null, "\\u00e4"], "c": "2026-01-02"}',
        ),
        ({"a": "\ud800"}, b'{"a": "\\ud800"}'),
        (None, b"None"),
    ],
)
def test_raw_of_keeps_what_could_be_read(record: Any, raw: bytes) -> None:
    assert original_bytes(record) == raw


class Unprintable:
    def __repr__(self) -> str:
        raise LookupError("no repr")


@pytest.mark.parametrize(
    "make", [lambda: nested(5_000), lambda: {"a": 10**5000}, lambda: {"a": Unprintable()}], ids=["deep", "huge", "odd"]
)
def test_raw_of_never_crashes(make: Callable[[], Any]) -> None:
    """It is asked for what could not be encoded; a repr that fails must not take the bundle with it."""
    assert original_bytes(make())


def test_the_size_rule_counts_bars_twice() -> None:
    rules = RecordRules(max_bytes=20, forbid_nul=False)
    rules.check(b'{"a":"' + b"x" * 12 + b'"}')
    rules.check(b'{"a":"' + b"|" * 6 + b'"}')
    for line in (b'{"a":"' + b"x" * 13 + b'"}', b'{"a":"' + b"|" * 7 + b'"}'):
        with pytest.raises(
            RecordError, match=r"2[12] bytes \('\|' counted twice\), more than max_record_bytes=20"
        ) as caught:
            rules.check(line)
        assert caught.value.reason == TOO_LARGE
    RecordRules(None, forbid_nul=True).check(b"x" * 5_000_000)


@pytest.mark.parametrize("backslashes", range(1, 8))
def test_the_nul_rule_knows_an_escape_from_an_escaped_backslash(backslashes: int) -> None:
    line = b'{"a":"x' + b"\\" * backslashes + b'u0000"}'
    has_nul = "\x00" in json.loads(line)["a"]
    assert has_nul == (backslashes % 2 == 1)
    RecordRules(None, forbid_nul=False).check(line)
    if not has_nul:
        RecordRules(None, forbid_nul=True).check(line)
        return
    with pytest.raises(RecordError, match="NUL") as caught:
        RecordRules(None, forbid_nul=True).check(line)
    assert caught.value.reason == NUL_CHARACTER


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text('|a\\u0{}":', max_size=12).map(str.encode), min_size=1, max_size=4),
    st.none() | st.integers(1, 40),
    st.booleans(),
)
@example([b"|||", b""], 5, False)
@example([b"a", b"||"], 3, False)
@example([b"a", b"\\u0000"], 40, True)
def test_the_quick_look_at_a_batch_is_never_wrongly_no(lines: list[bytes], most: int | None, forbid_nul: bool) -> None:
    rules = RecordRules(most, forbid_nul)
    broken = False
    for line in lines:
        try:
            rules.check(line)
        except RecordError:
            broken = True
    assert rules.might_violate(lines, b"".join(lines)) or not broken


def test_reasons_are_all_of_them() -> None:
    codes = {value for key, value in vars(records).items() if key.isupper() and isinstance(value, str)}
    assert set(REASONS) == codes
    assert len(REASONS) == len(codes)
