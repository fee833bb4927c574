"""Routing: what is accepted, to which stream, and that the quick ways answer as the strict and slow ones do."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.encoding import (
    BAD_STREAM,
    INVALID_UTF8,
    LONE_SURROGATE,
    MISSING_STREAM,
    NOT_AN_OBJECT,
    NOT_JSON,
    NUL_CHARACTER,
    REASONS,
    TOO_LARGE,
    UNSUPPORTED_VALUE,
    RecordRules,
)
from beam_s3box.records.rejected_records import RejectedRecord
from beam_s3box.records.rejected_rows import RejectedRow
from beam_s3box.records.routing import Router
from beam_s3box.records.selector import StreamSelector
from beam_s3box.records.streams import Stream

LAX = RecordRules(max_bytes=None, forbid_nul=False)
STRICT = RecordRules(max_bytes=90, forbid_nul=True)
BY_FIELDS = StreamSelector(domain_field="d", namespace_field="n")


class Kind(str, enum.Enum):  # noqa: UP042 - as older code has it: its str() is not its value
    CLICK = "click"


class Count(int, enum.Enum):
    TWO = 2


class Pair(NamedTuple):
    d: str
    n: int


@dataclasses.dataclass
class Event:
    d: str
    n: str
    at: datetime.date = datetime.date(2026, 1, 2)


# ---------------------------------------------------------------- a strict, slow and separate reading of the rules


def reference(line: bytes, selector: StreamSelector, rules: RecordRules) -> Stream | None:
    """Return the stream of a line that must be accepted, or None for one that must be rejected."""
    texts: list[str] = []

    def note(value: Any) -> None:
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, list):
            for item in value:
                note(item)

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        for key, value in found:
            texts.append(key)
            note(value)
        return dict(found)

    def reject(constant: str) -> None:
        raise ValueError(constant)

    try:
        record = json.loads(line.decode("utf-8"), parse_constant=reject, object_pairs_hook=pairs)
        for text in texts:
            text.encode("utf-8")
    except ValueError:
        return None
    if not isinstance(record, dict) or (rules.forbid_nul and any("\x00" in text for text in texts)):
        return None
    if rules.max_bytes is not None and len(line.replace(b"|", b"||")) > rules.max_bytes:
        return None
    domain = selector.domain or reference_name(record.get(selector.domain_field))
    namespace = selector.namespace or reference_name(record.get(selector.namespace_field))
    return Stream(domain, namespace) if domain and namespace else None


def reference_name(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value in (float("inf"), float("-inf")):
        return None
    return str(value)


TOKENS = [
    '"a"', '"b"', '"1"', '"1.0"', '"1.5"', "1", "1.0", "1.50", "-0", "-0.0", "10e2", "1" + "0" * 30, "18446744073709551616",
    "1e400", "-1e999", "true", "null", '""', "[]", "{}", '{"d":"z","n":"z"}', '[{"d":"z"},[1,2.5]]', '"\\u0061"', '"ä"',
    '"💧"', '"\\ud83d\\udca7"', '"\\ud800"', '"\\udc00x"', '"\\u0000"', '"\\\\u0000"', '"\\\\\\u0000"',
    '"||||||||||||"', '"a\\nb"', '"a\\/b"',
    "NaN", "Infinity", "01", "1.", "'a'", '"\t"', '"\x7f\u2028"', '"' + "x" * 40 + '"',
]  # fmt: skip
KEYS = ['"d"', '"n"', '"d"', '"n"', '"\\u0064"', '"x"', '"D"', '""', '"\\ud800"', '"\\u0000"', '"n\\u0000"']
MEMBERS = st.tuples(st.sampled_from(KEYS), st.sampled_from(TOKENS))
SPACES = st.sampled_from(["", "", "", " ", "\t", "  "])
NAMED = st.tuples(st.sampled_from(TOKENS[:20]), st.sampled_from(TOKENS[:20]))


@st.composite
def objects(draw: st.DrawFn) -> bytes:
    """Text of an object that mostly names its stream, with duplicates, escapes and unusual values."""
    domain, namespace = draw(NAMED)
    members = [*draw(st.lists(MEMBERS, max_size=3)), ('"d"', domain), ('"n"', namespace)]
    order = draw(st.permutations(members))
    space = draw(SPACES)
    text = f"{space},".join(f"{space}{key}{space}:{space}{value}" for key, value in order)
    return f"{space}{{{text}{space}}}{space}".encode()


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """Text of an object with a few bytes removed, repeated, replaced or put in."""
    line = bytearray(draw(objects()))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(line)))
        byte = draw(st.sampled_from(b'{}[]",:\\u0de1.-|\x00\x01\x7f\x80\xc3\xed\xff \t') | st.integers(0, 255))
        move = draw(st.sampled_from(["put", "take", "replace"]))
        line[at : at if move == "put" else at + 1] = b"" if move == "take" else bytes([byte])
    return bytes(line)


LINES = st.one_of(
    objects(),
    mutants(),
    st.sampled_from(
        [b"", b" ", b"null", b"[]", b"{}", b'"d"', b"5", b'\xef\xbb\xbf{"d":"a","n":"b"}', b'{"d":"a","n":"b"}\x00']
    ),
    st.binary(max_size=12),
)
ONE_LINES = LINES.filter(lambda line: b"\n" not in line and b"\r" not in line)
GOOD = b'{"d":"a","n":"b"}'


@settings(max_examples=500, deadline=None)
@given(ONE_LINES, st.sampled_from([LAX, STRICT]))
@example(b'{"d":1.5,"n":"b","x":"\\ud800","x":1}', LAX)
@example(b'{"d":1.5,"n":1000000000000000000000000000000}', LAX)
@example(b'{"d":true,"d":"a","n":"b"}', LAX)
@example(b'{"d":"a","d":1e400,"n":"b"}', LAX)
def test_lines_are_accepted_exactly_as_the_strict_reading_does(line: bytes, rules: RecordRules) -> None:
    expected = reference(line, BY_FIELDS, rules)
    router = Router(BY_FIELDS, rules)
    groups, rejected = router.route_lines([line])
    if expected is None:
        assert groups == {}
        assert [one.raw for one in rejected] == [line]
        assert rejected[0].reason in REASONS
        assert rejected[0].detail
    else:
        assert (groups, rejected) == ({expected: [line]}, [])
    # with a good line the whole batch takes the quick way
    again, rejected_again = router.route_lines([line, GOOD])
    assert len(rejected_again) == len(rejected)
    if expected is not None:
        assert again[expected][0] is line


@settings(max_examples=200, deadline=None)
@given(
    ONE_LINES,
    st.sampled_from(
        [
            StreamSelector(domain="web", namespace="clicks"),
            StreamSelector(domain="web", namespace_field="n"),
            StreamSelector(domain_field="d", namespace="clicks"),
            StreamSelector(domain_field="d", namespace_field="d"),
            StreamSelector(domain_field="n", namespace_field="d"),
            StreamSelector(domain_field="x", namespace_field="D"),
        ]
    ),
    st.sampled_from([LAX, STRICT]),
)
def test_every_naming_accepts_exactly_as_the_strict_reading_does(
    line: bytes, selector: StreamSelector, rules: RecordRules
) -> None:
    expected = reference(line, selector, rules)
    groups, rejected = Router(selector, rules).route_lines([line])
    assert groups == ({} if expected is None else {expected: [line]})
    assert [one.raw for one in rejected] == ([line] if expected is None else [])


@settings(max_examples=300, deadline=None)
@given(st.lists(LINES, max_size=7), st.sampled_from([LAX, STRICT]))
@example([b'{"d":1,"n":"b"}', b'{"d":"1","n":"b"}', b'{"d":1,"n":"b" }'], LAX)
@example([b'{"d":"1.5","n":"b"}', b'{"d":1.5,"n":"b"}'], LAX)
@example([b'{"d":1,"n":"b"}', b'{"d":1.0,"n":"b"}', b'{"d":true,"n":"b"}'], LAX)
@example([b'{"d":"a","n":"b","x":"' + b"|" * 36 + b'"}', b'{"d":"a","n":"b"}'], STRICT)
@example([b'{"d":"a","n":"b"}\n', b'{"d":"a",\n"n":"b"}', b"", b"\n"], LAX)
@example(
    [b"[1]", b"[1,", b'["\\ud800"]', b"[1] 2", b"[", b'{"d":"a","n":"b"}', b" [1]", b"[1e999]", b"[\xff]", b"[NaN]"],
    LAX,
)
@example([], LAX)
def test_a_batch_is_routed_as_its_lines_one_by_one(lines: list[bytes], rules: RecordRules) -> None:
    router = Router(BY_FIELDS, rules)
    groups, rejected = router.route_lines(lines)
    expected: dict[Stream, list[bytes]] = {}
    expected_rejected = []
    for line in lines:
        routed = router.route(line)
        if isinstance(routed, RejectedRecord):
            expected_rejected.append(routed)
        else:
            expected.setdefault(routed[0], []).append(routed[1])
    assert groups == expected
    assert collections.Counter(rejected) == collections.Counter(expected_rejected)
    assert sum(map(len, groups.values())) + len(rejected) == len(lines)


@settings(max_examples=300, deadline=None)
@given(objects())
@example(b'{"d":1.5,"n":1000000000000000000000000000000}')
@example(b'{"d":1e22,"n":-0.0}')
def test_a_line_and_the_dict_it_holds_go_to_the_same_stream(line: bytes) -> None:
    try:
        record = json.loads(line)
        pairs = json.loads(line, object_pairs_hook=list)
    except ValueError:
        return
    if len(pairs) > len(record):
        return  # what is wrong with the line may be gone from the dict: a duplicate
    router = Router(BY_FIELDS, LAX)
    of_line, of_dict = router.route(line), router.route(record)
    if isinstance(of_line, RejectedRecord):
        if "NaN" not in line.decode() and "Infinity" not in line.decode():
            assert isinstance(of_dict, RejectedRecord)
        return
    assert not isinstance(of_dict, RejectedRecord)
    assert of_dict[0] == of_line[0]
    assert json.loads(of_dict[1].replace(b"null", b"0")) == json.loads(
        json.dumps(record).replace("-Infinity", "0").replace("Infinity", "0").replace("null", "0")
    )


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("token", "name"),
    [
        ('"a"', "a"),
        ("1", "1"),
        ("-1", "-1"),
        ("-0", "0"),
        ("1.0", "1.0"),
        ("1.50", "1.5"),
        ("10e2", "1000.0"),
        ("0.1", "0.1"),
        ("1e-400", "0.0"),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", "9223372036854775808"),
        ("18446744073709551616", "18446744073709551616"),
        ("1" + "0" * 30, "1" + "0" * 30),
        ("-1" + "0" * 30, "-1" + "0" * 30),
        ('"\\u0061\\/\\n"', "a/\n"),
        ('"ä💧"', "ä💧"),
        ('"\\ud83d\\udca7"', "💧"),
        ('" "', " "),
        ('".."', ".."),
        ('"' + "x" * 5000 + '"', "x" * 5000),
        ('"\\u0000"', "\x00"),
        ('"true"', "true"),
    ],
)
@pytest.mark.parametrize("other", ['"b"', "2.5"])
def test_names(token: str, name: str, other: str) -> None:
    line = f'{{"d":{token},"n":{other}}}'.encode()
    stream = Stream(name, other.strip('"'))
    router = Router(BY_FIELDS, LAX)
    assert router.route(line) == (stream, line)
    assert router.route_lines([line, line]) == ({stream: [line, line]}, [])
    of_dict = router.route(json.loads(line))
    assert not isinstance(of_dict, RejectedRecord)
    assert of_dict[0] == stream


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("true", BAD_STREAM),
        ("false", BAD_STREAM),
        ('""', BAD_STREAM),
        ("[]", BAD_STREAM),
        ('["a"]', BAD_STREAM),
        ("{}", BAD_STREAM),
        ("1e400", BAD_STREAM),
        ("-1e400", BAD_STREAM),
        ("null", MISSING_STREAM),
    ],
)
def test_no_names(token: str, reason: str) -> None:
    line = f'{{"d":"a","n":{token}}}'.encode()
    router = Router(BY_FIELDS, LAX)
    for rejected in (router.route(line), *router.route_lines([line])[1], *router.route_lines([GOOD, line])[1]):
        assert isinstance(rejected, RejectedRecord)
        assert (rejected.reason, rejected.raw, rejected.stream) == (reason, line, None)
        assert "'n'" in rejected.detail
    of_dict = router.route(json.loads(line))
    assert isinstance(of_dict, RejectedRecord)
    assert of_dict.reason == reason


@pytest.mark.parametrize("line", [b"{}", b'{"d":"a"}', b'{"n":"b"}', b'{"D":"a","n":"b"}', b'{"x":{"d":"a","n":"b"}}'])
def test_missing_names(line: bytes) -> None:
    for routed in (Router(BY_FIELDS, LAX).route(line), Router(BY_FIELDS, LAX).route(json.loads(line))):
        assert isinstance(routed, RejectedRecord)
        assert routed.reason == MISSING_STREAM


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (decimal.Decimal("1.50"), "1.50"),
        (np.int64(3), "3"),
        (np.float64(1.5), "1.5"),
        (np.str_("a"), "a"),
        (10**30, "1" + "0" * 30),
        (Kind.CLICK, "click"),
        (Count.TWO, "2"),
    ],
)
def test_python_names_are_what_the_record_itself_will_say(value: Any, name: str) -> None:
    """The same record, written and read again, goes to the same stream."""
    router = Router(BY_FIELDS, LAX)
    routed = router.route({"d": value, "n": "b"})
    assert not isinstance(routed, RejectedRecord)
    assert routed[0] == (name, "b")
    again = router.route(routed[1])
    assert not isinstance(again, RejectedRecord)
    assert again[0] == routed[0]
    assert type(routed[0].domain) is str


@pytest.mark.parametrize(
    "value",
    [
        True,
        np.bool_(True),
        float("nan"),
        float("-inf"),
        np.float64("nan"),
        decimal.Decimal("NaN"),
        decimal.Decimal("sNaN"),
        decimal.Decimal("Infinity"),
        1j,
        "",
        "\ud800",
        b"a",
        uuid.UUID(int=1),
        datetime.date(2026, 1, 2),
        ["a"],
        object(),
    ],
)
def test_python_values_that_name_nothing(value: Any) -> None:
    routed = Router(BY_FIELDS, LAX).route({"d": value, "n": "b"})
    assert isinstance(routed, RejectedRecord)
    assert routed.reason == BAD_STREAM
    assert "'d'" in routed.detail


@pytest.mark.parametrize(
    "make",
    [lambda: 10**5000, lambda: fractions.Fraction(10**400), lambda: fractions.Fraction(1, 3)],
    ids=["huge", "large", "third"],
)
def test_python_numbers_without_a_text_are_rejected_and_never_crash(make: Callable[[], Any]) -> None:
    routed = Router(BY_FIELDS, LAX).route({"d": make(), "n": "b"})
    assert isinstance(routed, RejectedRecord)
    assert routed.reason in {BAD_STREAM, UNSUPPORTED_VALUE}


@pytest.mark.parametrize(
    "field", ["d", "ä", "a b", "a.b", "$", "\u2028", "D", "x" * 300, "type", "__class__", "field1", "0", "1"]
)
def test_fields_may_be_called_anything_that_lines_can_name(field: str) -> None:
    selector = StreamSelector(domain_field=field, namespace_field="n")
    for line in (json.dumps({"n": "b", field: "a"}), json.dumps({field: "a", "n": "b"}, ensure_ascii=False)):
        assert Router(selector, LAX).route(line) == (("a", "b"), line.encode())


@pytest.mark.parametrize("field", ['a"b', "a\\b", "a\nb", "\x00"])
def test_fields_that_the_decoder_can_not_know_are_rejected_as_a_parameter(field: str) -> None:
    with pytest.raises(ConfigurationError, match="domain_field=") as caught:
        StreamSelector(domain_field=field, namespace_field="n")
    assert repr(field) in str(caught.value)


def test_a_field_with_a_lone_surrogate_is_rejected_as_a_parameter() -> None:
    with pytest.raises(ConfigurationError, match="namespace_field="):
        StreamSelector(domain_field="d", namespace_field="\ud800")


@pytest.mark.parametrize(
    ("line", "stream"),
    [
        (b'{"\\u0064":"a","n":"b"}', ("a", "b")),
        (b'{"d":"x","\\u0064":"a","n":"b"}', ("a", "b")),
        (b'{"d":"x","d":"a","n":"b"}', ("a", "b")),
        (b'{"d":true,"d":"a","n":"b"}', ("a", "b")),
        (b'{"d":1.5,"d":"a","n":"b"}', ("a", "b")),
        (b'{"d":"x","n":"b","d":1.5}', ("1.5", "b")),
        (b' \t{ "n" : "b" , "d" : "a" } ', ("a", "b")),
    ],
)
def test_of_duplicate_fields_the_last_one_counts(line: bytes, stream: tuple[str, str]) -> None:
    assert Router(BY_FIELDS, LAX).route(line) == (stream, line)
    assert Router(BY_FIELDS, LAX).route_lines([GOOD, line])[0][Stream(*stream)][-1] is line


@pytest.mark.parametrize(
    ("selector", "stream"),
    [
        (StreamSelector(domain="web", namespace="clicks"), ("web", "clicks")),
        (StreamSelector(domain="web", namespace_field="n"), ("web", "b")),
        (StreamSelector(domain_field="d", namespace="clicks"), ("a", "clicks")),
        (StreamSelector(domain_field="d", namespace_field="d"), ("a", "a")),
        (StreamSelector(stream=lambda fields: (fields["n"], 7)), ("b", "7")),  # type: ignore[arg-type, return-value]
        (StreamSelector(stream=lambda fields: [fields["n"], "x"]), ("b", "x")),  # type: ignore[arg-type, return-value]
        (StreamSelector(stream=lambda fields: Stream("s", fields["d"])), ("s", "a")),
    ],
)
def test_ways_to_name(selector: StreamSelector, stream: tuple[str, str]) -> None:
    router = Router(selector, LAX)
    assert router.route(GOOD) == (stream, GOOD)
    assert router.route(GOOD.decode()) == (stream, GOOD)
    assert router.route({"d": "a", "n": "b"}) == (stream, GOOD)
    assert router.route_lines([GOOD, GOOD]) == ({Stream(*stream): [GOOD, GOOD]}, [])
    assert not selector.is_keyed


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda fields: fields["none"], "raised KeyError: 'none'"),
        (lambda fields: 1 / 0, "raised ZeroDivisionError"),
        (lambda fields: None, "a pair .*, not None"),
        (lambda fields: "ab", "a pair"),
        (lambda fields: {"a": 1, "b": 2}, "a pair"),
        (lambda fields: ("a",), "a pair"),
        (lambda fields: ("a", "b", "c"), "a pair"),
        (lambda fields: ("a", ""), "namespace is empty"),
        (lambda fields: (None, "b"), "domain is of type NoneType"),
        (lambda fields: (True, "b"), "domain is of type bool"),
        (lambda fields: ("a", float("nan")), "namespace is nan"),
        (lambda fields: ("a\ud800", "b"), "domain has a lone surrogate"),
    ],
)
def test_functions_that_name_nothing(function: Any, says: str) -> None:
    router = Router(StreamSelector(stream=function), LAX)
    for element in (GOOD, {"d": "a", "n": "b"}):
        routed = router.route(element)
        assert isinstance(routed, RejectedRecord)
        assert routed.reason == BAD_STREAM
        assert re.search(says, routed.detail)


def test_a_function_sees_line_and_dict_alike() -> None:
    seen: list[Mapping[str, Any]] = []

    def name(fields: Mapping[str, Any]) -> tuple[str, str]:
        seen.append(dict(fields))
        return "a", "b"

    router = Router(StreamSelector(stream=name), LAX)
    record = {"i": 10**30, "f": 1.5, "t": "ä", "l": [1, {"x": None}]}
    router.route(json.dumps(record))
    router.route(record)
    assert seen == [record, record]
    assert [type(fields["i"]) for fields in seen] == [int, int]


# ---------------------------------------------------------------- elements


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


def test_names_that_python_takes_for_equal_stay_apart() -> None:
    """1 == 1.0 == True, also as keys of a dict and of a cache."""
    lines = [f'{{"d":{name},"n":"b"}}'.encode() for name in ("1", "1.0", "true", "1", "1.0")]
    expected = {Stream("1", "b"): [lines[0]] * 2, Stream("1.0", "b"): [lines[1]] * 2}
    router = Router(BY_FIELDS, LAX)
    for batch in (lines, lines[::-1]):
        groups, rejected = router.route_lines(batch)
        assert groups == expected
        assert [one.raw for one in rejected] == [lines[2]]
        names = [one[0][0] for line in batch if not isinstance(one := router.route(line), RejectedRecord)]
        assert names == [line[5 : line.index(b",")].decode() for line in batch if line != lines[2]]


def test_lines_are_not_copied() -> None:
    lines = [GOOD, b'{"d":1.5,"n":"b"}', b'{"d":"\xc3\xa4","n":"b"}']
    groups, _ = Router(BY_FIELDS, LAX).route_lines(lines)
    assert {id(line) for group in groups.values() for line in group} == set(map(id, lines))


def test_a_router_remembers_no_names_wrongly() -> None:
    """Also with more streams than it remembers."""
    router = Router(BY_FIELDS, LAX)
    for start in (0, 0):
        lines = [f'{{"d":{i},"n":"{i}"}}'.encode() for i in range(start, 12_000)]
        groups, rejected = router.route_lines(lines)
        assert rejected == []
        assert groups == {Stream(str(i), str(i)): [line] for i, line in enumerate(lines)}


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"domain": ""}, "domain='' must be non-empty text"),
        ({"domain": 5}, "domain=5 must be non-empty text"),
        ({"namespace": b"a"}, "namespace=b'a' must be non-empty text"),
        ({"domain_field": ""}, "domain_field='' must be non-empty text"),
        ({"namespace_field": 1}, "namespace_field=1 must be non-empty text"),
        (
            {"domain": "a", "domain_field": "d", "namespace": "b"},
            "domain='a' and domain_field='d' are mutually exclusive",
        ),
        ({"domain": "a"}, "domain is given and namespace is not: give namespace='...' or namespace_field='...'"),
        ({"domain_field": "a"}, "domain is given and namespace is not"),
        ({"namespace": "a"}, "namespace is given and domain is not"),
        ({"namespace_field": "a"}, "namespace is given and domain is not: give domain='...' or domain_field='...'"),
        ({"stream": "a"}, "stream must be a function"),
        ({"stream": str, "domain": "a", "namespace": "b"}, "can't be combined with domain or namespace"),
        ({"stream": str, "domain": "a"}, "can't be combined with domain or namespace"),
        ({"domain": "\ud800", "namespace": "b"}, "can't name a stream"),
    ],
)
def test_namings_that_can_not_work(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        StreamSelector(**values)
    assert says in str(caught.value)


def test_a_row_that_its_reader_rejected_has_the_reader_s_reason() -> None:
    router = Router(StreamSelector(domain="d", namespace="n"), STRICT)
    row = RejectedRow("csv-row-length", "2 values, and 3 columns", "a.csv", 7, b"1,2")
    rejected = router.route(row)
    assert isinstance(rejected, RejectedRecord)
    assert (rejected.reason, rejected.detail, rejected.raw) == (row.reason, row.detail, row.raw)
