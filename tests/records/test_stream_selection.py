"""The stream of a record: which values name one, by fields, constants or a function, and which parameters can't."""

from __future__ import annotations

import datetime
import decimal
import fractions
import json
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.encoding import BAD_STREAM, MISSING_STREAM, UNSUPPORTED_VALUE
from beam_s3box.records.rejected_records import RejectedRecord
from beam_s3box.records.routing import Router
from beam_s3box.records.selector import StreamSelector
from beam_s3box.records.streams import Stream
from tests.records.router_rules import BY_FIELDS, GOOD, LAX
from tests.records.values import Count, Kind


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


def test_a_router_remembers_no_names_wrongly() -> None:
    """Also with more streams than it remembers."""
    router = Router(BY_FIELDS, LAX)
    lines = [f'{{"d":{i},"n":"{i}"}}'.encode() for i in range(12_000)]
    for _ in range(2):
        groups, rejected = router.route_lines(lines)
        assert rejected == []
        assert groups == {Stream(str(i), str(i)): [line] for i, line in enumerate(lines)}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"domain": ""}, "domain='' must be non-empty text"),
        ({"domain": 5}, "domain=5 must be non-empty text"),
        ({"namespace": b"a"}, "namespace=b'a' must be non-empty text"),
        ({"namespace": lambda record: "a"}, "namespace is a function, and must be non-empty text: for a function of"),
        ({"domain_field": len}, "domain_field is a function, and must be non-empty text"),
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
