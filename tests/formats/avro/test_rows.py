"""Rows: byte for byte what fastavro writes for what fits, and a reason for what does not."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_s3box.errors import RecordError
from beam_s3box.formats import AvroFormat
from beam_s3box.formats.avro.types import long_bytes
from beam_s3box.records.encoding import REASONS, SCHEMA_MISMATCH, TOO_LARGE
from tests.formats.avro.avro_samples import (
    STREAM,
    Sample,
    encode,
    line,
    read,
    read_independently,
    record_of,
    records,
    round_trip,
    shard,
)


def fastavro_row(schema: Any, value: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return out.getvalue()


@settings(max_examples=300, deadline=None)
@given(records(), st.data(), st.sampled_from(["null", "deflate"]))
def test_every_schema_and_value_reads_back(sample: Sample, data: st.DataObject, codec: Any) -> None:
    pairs = data.draw(st.lists(sample.pairs, min_size=1, max_size=4))
    format = AvroFormat(sample.schema, codec=codec, for_redshift=False)
    rows = encode(format, *(given for given, _ in pairs))
    assert rows == [fastavro_row(sample.schema, wanted) for _, wanted in pairs]
    body = shard(format, *(given for given, _ in pairs))
    assert read(body) == [wanted for _, wanted in pairs]
    assert read_independently(body) == [wanted for _, wanted in pairs]


@pytest.mark.parametrize("number", [0, -1, 1, 63, 64, -64, -65, 1023, 1024, 8191, 2**31, -(2**31), 2**63 - 1, -(2**63)])
def test_longs(number: int) -> None:
    assert long_bytes(number) == fastavro_row("long", number)


UNFIT: list[tuple[Any, list[Any]]] = [
    ("boolean", ["true", 1, 0, None, []]),
    ("int", [True, 2**31, -(2**31) - 1, 1.0, "1", None, {}]),
    ("long", [False, 2**63, -(2**63) - 1, 1.5, "1", None]),
    ("float", [True, "1", None, 1e39, 10**400]),
    ("double", [False, "1.5", None, 10**400]),
    ("string", [1, True, None, [], {}]),
    ("bytes", [1, None, "f", "fg", "ab cd", "ä", []]),
    ("null", [0, "", False]),
    ({"type": "fixed", "name": "X", "size": 2}, ["", "ff", "ffffff", "zzzz", 1, None]),
    ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, ["a", "", 0, None, []]),
    ({"type": "array", "items": "long"}, ["", {}, None, ["1"], [1, None], [[1]]]),
    ({"type": "map", "values": "long"}, [[], "", None, {"a": "b"}, {"a": None}]),
    (["null", "string"], [1, [], {}]),
    (["string", "null"], [1]),
    (["long", "boolean"], [None, "x", 1.5]),
    ({"type": "record", "name": "Q", "fields": [{"name": "x", "type": "int"}]}, [{}, [], None, "x", {"x": 1, "y": 2}]),
]


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in UNFIT for value in values], ids=repr)
def test_what_does_not_fit_is_rejected_with_where_and_why_but_without_the_value(kind: Any, value: Any) -> None:
    encoder = AvroFormat(record_of(kind), for_redshift=False).encoder(STREAM)
    with pytest.raises(RecordError, match=r"^does not fit the schema: a") as caught:
        encoder(line({"a": value}))
    assert caught.value.reason == SCHEMA_MISMATCH
    assert SCHEMA_MISMATCH in REASONS


def test_the_value_itself_is_in_no_error() -> None:
    secrets = record_of("long", {"type": "enum", "name": "E", "symbols": ["A"]}, {"type": "int", "logicalType": "date"})
    for name in "abc":
        with pytest.raises(RecordError) as caught:
            encode(AvroFormat(secrets), {"a": 1, "b": "A", "c": 1, name: "hunter2"})
        assert "hunter2" not in str(caught.value)


def test_the_place_is_named_however_deep() -> None:
    inner = {"type": "record", "name": "Q", "fields": [{"name": "x", "type": {"type": "array", "items": "int"}}]}
    with pytest.raises(RecordError, match=r"a\.k\.x\[1\]: a string, not an integer \(int\)"):
        encode(AvroFormat(record_of({"type": "map", "values": inner})), {"a": {"k": {"x": [1, "2"]}}})


def test_fields_that_the_schema_has_not_are_rejected_or_dropped() -> None:
    schema = record_of("int")
    with pytest.raises(RecordError, match="has 'b', 'c', 'd' and 1 more, which the schema does not have"):
        encode(AvroFormat(schema), {"a": 1, "b": 1, "c": 2, "d": 3, "e": 4})
    body = shard(AvroFormat(schema, unknown_fields="drop"), {"b": 1, "a": 1})
    assert read(body) == [{"a": 1}]


def test_what_is_missing_has_the_default_or_null_and_else_is_rejected() -> None:
    inner = {"type": "record", "name": "Q", "fields": [{"name": "x", "type": "int", "default": 7}]}
    fields = [
        {"name": "number", "type": "long", "default": 5},
        {"name": "raw", "type": "bytes", "default": "\u00ff\u0000"},
        {"name": "two", "type": {"type": "fixed", "name": "X", "size": 1}, "default": "\u00fe"},
        {"name": "kind", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}, "default": "B"},
        {"name": "maybe", "type": ["null", "string"]},
        {"name": "last", "type": ["string", "null"]},
        {"name": "text", "type": ["string", "null"], "default": "x"},
        {"name": "list", "type": {"type": "array", "items": "int"}, "default": [1]},
        {"name": "inner", "type": inner, "default": {}},
    ]
    schema = {"type": "record", "name": "R", "fields": fields}
    wanted = {
        "number": 5, "raw": b"\xff\x00", "two": b"\xfe", "kind": "B", "maybe": None, "last": None, "text": "x",
        "list": [1], "inner": {"x": 7},
    }  # fmt: skip
    assert read(shard(AvroFormat(schema), {})) == [wanted]
    assert read_independently(shard(AvroFormat(schema), {})) == [wanted]
    assert read(shard(AvroFormat(schema), {"number": 1}))[0]["number"] == 1
    with pytest.raises(RecordError, match="a: missing, and the schema has no default for it"):
        encode(AvroFormat(record_of("int")), {})


def test_types_that_hold_themselves() -> None:
    fields = [
        {"name": "v", "type": "int"},
        {"name": "next", "type": ["null", "Node"], "default": None},
        {"name": "kids", "type": {"type": "array", "items": "n.Node"}, "default": []},
        {"name": "either", "type": ["string", "Node"], "default": "none"},
    ]
    schema = {"type": "record", "name": "Node", "namespace": "n", "fields": fields}
    tree = {"v": 1, "next": {"v": 2}, "kids": [{"v": 3}, {"v": 4, "kids": [{"v": 5}]}], "either": {"v": 6}}
    body = shard(AvroFormat(schema, for_redshift=False), tree)
    [found] = read(body)
    assert found["kids"][1]["kids"][0] == {"v": 5, "next": None, "kids": [], "either": "none"}
    assert found["either"]["v"] == 6
    assert read_independently(body) == [found]
    deep: dict[str, Any] = {"v": 0}
    for _ in range(700):
        deep = {"v": 0, "next": deep}
    with pytest.raises(RecordError, match=r"does not fit the schema: .*(deep|recursion)"):
        encode(AvroFormat(schema, for_redshift=False), deep)


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 2**63 - 1])
def test_a_union_keeps_all_digits_of_an_integer(number: int) -> None:
    assert round_trip(["double", "null", "long"], number, for_redshift=False) == number
    assert round_trip([{"type": "double"}, "long"], number, for_redshift=False) == number
    assert round_trip(["double", "string"], number, for_redshift=False) == float(number)


def test_an_integer_that_a_float_holds_is_one_where_it_comes_first() -> None:
    for union, number, found in (
        (["double", "long"], 2**53, "9007199254740992.0"),
        (["float", "int"], -(2**24), "-16777216.0"),
        (["float", "int"], 2**24 + 1, "16777217"),
        (["float", "double", "int"], 2**24 + 1, "16777217"),
    ):
        assert repr(round_trip(union, number, for_redshift=False)) == found


def test_a_union_takes_the_first_type_that_fits_and_leaves_nothing_of_the_others() -> None:
    one = {"type": "record", "name": "One", "fields": [{"name": "x", "type": "string"}, {"name": "y", "type": "int"}]}
    two = {
        "type": "record",
        "name": "Two",
        "fields": [{"name": "x", "type": "string"}, {"name": "y", "type": "string"}],
    }
    union = [one, two, "double", "long"]
    assert round_trip(union, {"x": "a", "y": "b"}, for_redshift=False) == {"x": "a", "y": "b"}
    assert round_trip(union, {"x": "a", "y": 1}, for_redshift=False) == {"x": "a", "y": 1}
    assert repr(round_trip(union, 1, for_redshift=False)) == "1.0"
    assert repr(round_trip(["long", "double"], 1, for_redshift=False)) == "1"


def test_a_row_that_copy_would_not_take_is_too_large() -> None:
    """Eight bytes in a row for two in the line: the limit on the line does not see it."""
    numbers = {"a": [1] * 600_000}
    schema = record_of({"type": "array", "items": "double"})
    assert len(line(numbers)) < 4_000_000
    with pytest.raises(RecordError, match="4800004 bytes as Avro, and COPY accepts 4000000") as caught:
        encode(AvroFormat(schema), numbers)
    assert caught.value.reason == TOO_LARGE
    assert read(shard(AvroFormat(schema, for_redshift=False), numbers)) == [numbers]


def test_numbers_are_read_exactly_where_a_decimal_is_anywhere() -> None:
    money = {"type": "bytes", "logicalType": "decimal", "precision": 25, "scale": 5}
    schema = record_of({"type": "map", "values": money}, "double", "float")
    text = b'{"a":{"x":12345678901234567890.12345},"b":0.1,"c":0.5}'
    format = AvroFormat(schema, for_redshift=False)
    [found] = read(format.join([format.cut([format.encoder(STREAM)(text)])]))
    assert str(found["a"]["x"]) == "12345678901234567890.12345"
    assert (found["b"], found["c"]) == (0.1, 0.5)
    assert json.loads(text)["a"]["x"] != found["a"]["x"]
