"""Text becomes one line of UTF-8: no value changes, and what is one line is untouched."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_s3box.errors import RecordError
from beam_s3box.records.encoding import LONE_SURROGATE, NOT_JSON, diagnose, to_single_line
from tests.records.values import OBJECTS

SPACE = st.text(" \t\r\n", max_size=3)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b'{"a":1}',
        b' { "a" : 1 } ',
        b'{"a":"\\n"}',
        '{"a":"ä\u2028"}'.encode(),
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"\x0b\x0c\x85",
        b"nonsense",
    ],
)
def test_one_line_is_untouched(text: bytes) -> None:
    assert to_single_line(text) is text


def test_text_becomes_its_utf8() -> None:
    assert to_single_line('{"a":"ä💧"}') == '{"a":"ä💧"}'.encode()
    with pytest.raises(RecordError, match="lone surrogate") as caught:
        to_single_line('{"a":"\ud800"}')
    assert caught.value.reason == LONE_SURROGATE


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r", b"\n\n"])
def test_the_end_of_the_line_goes(end: bytes) -> None:
    assert to_single_line(b'{"a":1}' + end) == b'{"a":1}'


@settings(max_examples=100, deadline=None)
@given(OBJECTS, st.sampled_from([2, "\t", " \t"]), st.sampled_from(["\n", "\r\n", "\r"]), SPACE, SPACE)
def test_printed_prettily_becomes_one_line_with_the_same_values(
    record: dict[str, Any], indent: int | str, end: str, before: str, after: str
) -> None:
    pretty = before + json.dumps(record, indent=indent).replace("\n", end) + after
    line = to_single_line(pretty)
    assert b"\n" not in line
    assert b"\r" not in line
    assert json.loads(line) == record
    assert to_single_line(pretty.encode()) == line


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_line_break_within_a_text_is_not_made_valid(end: str) -> None:
    """JSON forbids it: to make it a space would change a value without a word."""
    text = '{"a":"x' + end + 'y"}'
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    rejection = rejection_of(text)
    assert rejection is not None
    assert rejection.reason == NOT_JSON


def rejection_of(text: str) -> RecordError | None:
    try:
        return diagnose(to_single_line(text))
    except RecordError as exc:
        return exc
