"""Routing: which elements are accepted, with a key and without, why others are rejected, and the order of a batch."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import json
from typing import Any, NamedTuple

import pytest

from beam_s3box.records.encoding import (
    BAD_STREAM,
    BAD_TIMESTAMP,
    INVALID_UTF8,
    LONE_SURROGATE,
    MISSING_STREAM,
    NOT_AN_OBJECT,
    NOT_JSON,
    NUL_CHARACTER,
    TOO_LARGE,
    UNSUPPORTED_VALUE,
)
from beam_s3box.records.event_times import fault_of
from beam_s3box.records.rejected_records import RejectedRecord
from beam_s3box.records.rejected_rows import RejectedRow
from beam_s3box.records.routing import Router
from beam_s3box.records.selector import StreamSelector
from beam_s3box.records.streams import Stream
from tests.records.router_rules import BY_FIELDS, GOOD, LAX, STRICT


class Pair(NamedTuple):
    d: str
    n: int


@dataclasses.dataclass
class Event:
    d: str
    n: str
    at: datetime.date = datetime.date(2026, 1, 2)


@pytest.mark.parametrize("key", [("a", "b"), Stream("a", "b")])
@pytest.mark.parametrize(
    "record", [GOOD, GOOD.decode(), {"d": "a", "n": "b"}, {"n": "b", "d": "a"}, Event("x", "y"), Pair("x", 1)]
)
def test_keyed_elements(key: tuple[str, str], record: Any) -> None:
    selector = StreamSelector()
    assert selector.is_keyed
    routed = Router(selector, LAX).route((key, record))
    assert not isinstance(routed, RejectedRecord)
    assert routed[0] == Stream("a", "b")
    assert isinstance(routed[0], Stream)
    assert json.loads(routed[1])


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        (GOOD, MISSING_STREAM),
        ({"d": "a"}, MISSING_STREAM),
        (("a", {"x": 1}), MISSING_STREAM),
        ((("a", "b"),), MISSING_STREAM),
        ((("a", "b"), {}, {}), MISSING_STREAM),
        (None, MISSING_STREAM),
        ((("a",), {}), BAD_STREAM),
        ((("a", ""), {}), BAD_STREAM),
        ((("a", None), {}), BAD_STREAM),
        ((("a", "b", "c"), {}), BAD_STREAM),
        ((("a", "b"), None), NOT_AN_OBJECT),
        ((("a", "b"), [1]), NOT_AN_OBJECT),
        ((("a", "b"), b"[1]"), NOT_AN_OBJECT),
        ((("a", "b"), b"{"), NOT_JSON),
        ((("a", "b"), {"x": {1}}), UNSUPPORTED_VALUE),
    ],
)
def test_keyed_elements_that_are_rejected(element: Any, reason: str) -> None:
    routed = Router(StreamSelector(), LAX).route(element)
    assert isinstance(routed, RejectedRecord)
    assert routed.reason == reason
    key_is_good = isinstance(element, tuple) and element[0] == ("a", "b") and len(element) == 2
    assert routed.stream == (("a", "b") if key_is_good else None)


def test_lines_without_a_key_are_rejected_whole_batches_too() -> None:
    groups, rejected = Router(StreamSelector(), LAX).route_lines([GOOD, GOOD])
    assert groups == {}
    assert [one.reason for one in rejected] == [MISSING_STREAM] * 2
    assert "give domain_field" in rejected[0].detail


@pytest.mark.parametrize(
    "element", [Event("a", "b"), Pair("a", 1), collections.UserDict(d="a", n="b"), {"d": "a", "n": "b"}]
)
def test_kinds_of_records(element: Any) -> None:
    routed = Router(BY_FIELDS, LAX).route(element)
    assert not isinstance(routed, RejectedRecord)
    assert routed[0].domain == "a"
    assert json.loads(routed[1])["d"] == "a"


@pytest.mark.parametrize(
    "element", [None, 5, ["d", "n"], ("a", "b"), {"d", "n"}, object(), Event, bytearray(GOOD), 1.5]
)
def test_what_is_no_record(element: Any) -> None:
    routed = Router(BY_FIELDS, LAX).route(element)
    assert isinstance(routed, RejectedRecord)
    assert routed.reason == NOT_AN_OBJECT
    assert type(element).__name__ in routed.detail
    assert routed.raw


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", NOT_JSON),
        (b"{", NOT_JSON),
        (b'{"d":"a","n":"b"} {}', NOT_JSON),
        (b'{"d":"a","n":"b","x":NaN}', NOT_JSON),
        (b'{"d":"a","n":"b","x":"\x01"}', NOT_JSON),
        (b'{"d":"a","n":"b","x":01}', NOT_JSON),
        (b'{"d":"a","n":"b",}', NOT_JSON),
        (b'\xef\xbb\xbf{"d":"a","n":"b"}', NOT_JSON),
        (b'\xc2\xa0{"d":"a","n":"b"}', NOT_JSON),
        (b'{"d":"a","n":"b","x":"\xff"}', INVALID_UTF8),
        (b'{"d":"a","n":"b","x":"\xed\xa0\x80"}', INVALID_UTF8),
        (b'{"d":"a","n":"b","x":"\xc0\x80"}', INVALID_UTF8),
        (b'{"d":"a","n":"b","x":"\\ud800"}', LONE_SURROGATE),
        (b'{"d":"a","n":"b","\\udfff":1}', LONE_SURROGATE),
        (b'{"d":"a","n":"b","x":"\\ud800\\u0041"}', LONE_SURROGATE),
        (b'{"d":1.5,"n":"b","x":"\\ud800","x":1}', LONE_SURROGATE),
        (b"[]", NOT_AN_OBJECT),
        (b"null", NOT_AN_OBJECT),
        (b'{"d":"a","n":"b","x":"\\u0000"}', NUL_CHARACTER),
        (b'{"d":"a","n":"b","\\u0000":1}', NUL_CHARACTER),
        (b'{"d":"a","n":"b","x":"' + b"x" * 90 + b'"}', TOO_LARGE),
        (b'{"d":"a","n":"b","x":"' + b"|" * 40 + b'"}', TOO_LARGE),
    ],
)
def test_why_lines_are_rejected(line: bytes, reason: str) -> None:
    router = Router(BY_FIELDS, STRICT)
    one = router.route(line)
    groups, rejected = router.route_lines([GOOD, line, GOOD])
    assert groups == {Stream("a", "b"): [GOOD, GOOD]}
    assert rejected == [one]
    assert isinstance(one, RejectedRecord)
    assert one.reason == reason
    assert one.raw == line


def test_a_rejection_knows_the_stream_once_it_is_known() -> None:
    router = Router(BY_FIELDS, STRICT)
    large = GOOD[:-1] + b',"x":"' + b"x" * 90 + b'"}'
    for element in (large, json.loads(large)):
        routed = router.route(element)
        assert isinstance(routed, RejectedRecord)
        assert routed.stream == Stream("a", "b")


def test_a_dict_is_held_to_the_same_rules() -> None:
    router = Router(BY_FIELDS, STRICT)
    reasons = [
        routed.reason
        for value in ("\x00", "x" * 90, "|" * 40, "\ud800", {1})
        if isinstance(routed := router.route({"d": "a", "n": "b", "x": value}), RejectedRecord)
    ]
    assert reasons == [NUL_CHARACTER, TOO_LARGE, TOO_LARGE, LONE_SURROGATE, UNSUPPORTED_VALUE]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_line_breaks_between_tokens_go_and_within_texts_are_rejected(end: str) -> None:
    router = Router(BY_FIELDS, LAX)
    pretty = f'{{{end}"d":"a",{end}"n":"b"}}{end}'.encode()
    routed = router.route(pretty)
    assert routed == (("a", "b"), b'{ "d":"a", "n":"b"}' if len(end) == 1 else b'{  "d":"a",  "n":"b"}')
    assert router.route_lines([pretty, GOOD])[0] == {Stream("a", "b"): [routed[1], GOOD]}
    broken_lines = (
        f'{{"d":"a","n":"b","x":"1{end}2"}}',
        f'{{"d":"a{end}","n":"b"}}',
        f'{{"d":"a","n":"b","x":1{end}2}}',
    )
    for broken in broken_lines:
        rejected = router.route(broken)
        assert isinstance(rejected, RejectedRecord)
        assert rejected.reason == NOT_JSON
        assert rejected.raw == broken.encode()
        assert router.route_lines([broken.encode(), GOOD])[1] == [rejected]


@pytest.mark.parametrize("depth", [50, 200, 900, 985, 990, 995, 1000, 1010, 1030, 2000, 100_000])
@pytest.mark.parametrize("name", ['"a"', "1.5"])
@pytest.mark.parametrize(
    "selector",
    [BY_FIELDS, StreamSelector(domain="a", namespace="b"), StreamSelector(stream=lambda fields: ("a", "b"))],
    ids=["fields", "constants", "function"],
)
def test_deep_lines_are_accepted_or_rejected_and_never_crash(selector: StreamSelector, name: str, depth: int) -> None:
    line = f'{{"d":{name},"n":"b","x":{"[" * depth}{"]" * depth}}}'.encode()
    router = Router(selector, LAX)
    one = router.route(line)
    groups, rejected = router.route_lines([line, GOOD])
    assert sum(map(len, groups.values())) + len(rejected) == 2
    if depth <= 200:
        assert not isinstance(one, RejectedRecord)
    if depth >= 2000:
        assert isinstance(one, RejectedRecord)
        assert one.reason == NOT_JSON


@pytest.mark.parametrize("depth", [100, 300, 600, 1000, 2000, 5000])
def test_deep_dicts_are_accepted_or_rejected_and_never_crash(depth: int) -> None:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    routed = Router(BY_FIELDS, LAX).route({"d": "a", "n": "b", "x": value})
    if depth <= 300:
        assert not isinstance(routed, RejectedRecord)
    if depth >= 2000:
        assert isinstance(routed, RejectedRecord)
        assert routed.reason == UNSUPPORTED_VALUE
        assert routed.raw


def test_a_rejected_integer_of_any_size_never_crashes() -> None:
    routed = Router(BY_FIELDS, LAX).route({"d": "a", "n": "b", "x": [10**5000, {1}]})
    assert isinstance(routed, RejectedRecord)
    assert routed.reason == UNSUPPORTED_VALUE


@pytest.mark.parametrize("depth", [100, 1_000, 100_000])
def test_deep_arrays_are_rejected_and_never_crash(depth: int) -> None:
    line = b"[" * depth + b"]" * depth
    groups, rejected = Router(BY_FIELDS, LAX).route_lines([line, GOOD, line])
    assert groups == {Stream("a", "b"): [GOOD]}
    assert [one.raw for one in rejected] == [line, line]
    assert {one.reason for one in rejected} <= {NOT_AN_OBJECT, NOT_JSON}


def test_order_is_kept_within_a_stream_whatever_is_between() -> None:
    names = ['"1"', "1", '"x"', "1", '"1"', "true", "1", '"1"'] * 5
    lines = [f'{{"d":{name},"n":"b","i":{i}}}'.encode() for i, name in enumerate(names)]
    groups, rejected = Router(BY_FIELDS, LAX).route_lines(lines)
    assert groups[Stream("1", "b")] == [line for line in lines if b'"x"' not in line and b"true" not in line]
    assert len(rejected) == 5


def test_lines_are_not_copied() -> None:
    lines = [GOOD, b'{"d":1.5,"n":"b"}', b'{"d":"\xc3\xa4","n":"b"}']
    groups, _ = Router(BY_FIELDS, LAX).route_lines(lines)
    assert {id(line) for group in groups.values() for line in group} == set(map(id, lines))


def test_a_row_that_its_reader_rejected_has_the_reader_s_reason() -> None:
    router = Router(StreamSelector(domain="d", namespace="n"), STRICT)
    row = RejectedRow("csv-row-length", "2 values, and 3 columns", "a.csv", 7, b"1,2")
    rejected = router.route(row)
    assert isinstance(rejected, RejectedRecord)
    assert (rejected.reason, rejected.detail, rejected.raw) == (row.reason, row.detail, row.raw)


def test_a_number_of_any_number_of_digits_names_a_stream_and_is_no_time() -> None:
    digits = "1" * 5_000
    line = f'{{"d":{digits},"n":"b"}}'.encode()
    assert Router(BY_FIELDS, LAX).route(line) == (Stream(digits, "b"), line)
    reason, detail = fault_of(line, "d")
    assert (reason, detail.startswith(f"field 'd' is \"{digits[:40]}")) == (BAD_TIMESTAMP, True)
