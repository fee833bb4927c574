"""Schemas that no reader would take, and those that COPY would not."""

from __future__ import annotations

import json
from typing import Any

import avro.schema
import pytest
from hypothesis import given, settings

from beam_s3box.errors import ConfigurationError
from beam_s3box.formats import AvroFormat
from tests.formats.avro.avro_samples import STREAM, Sample, record_of, records

BAD = [
    (record_of(["int", "int"]), r"schema\.a: the union has 'int' twice"),
    (record_of([{"type": "array", "items": "int"}, {"type": "array", "items": "long"}]), "has 'array' twice"),
    (record_of([]), "a union must have a type"),
    (record_of(["int", ["null"]]), "a union can't hold a union"),
    (record_of({"type": "fixed", "name": "X", "size": -1}), "size=-1 must be a whole number"),
    (record_of({"type": "bytes", "logicalType": "decimal"}), "a decimal needs a precision"),
    (record_of({"type": "bytes", "logicalType": "decimal", "precision": 0}), "a decimal needs a precision"),
    (record_of({"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": -1}), "not a valid Avro schema|a decimal needs"),
    (record_of({"type": "record", "name": "string", "fields": []}), "is that of a built-in type of Avro"),
    ({"type": "record", "name": "a b", "fields": []}, "the name 'a b' must be letters"),
    (record_of(**{"x-y": "int"}), "the name 'x-y' must be letters"),
    (record_of(**{"1x": "int"}), "the name '1x' must be letters"),
    ({"type": "record", "name": "R", "fields": [{"name": "x", "type": "int"}] * 2}, "the field 'x' occurs twice"),
    (record_of({"type": "array"}), "not a valid Avro schema: KeyError"),
    (record_of({"type": ["null", "int"]}), "not a valid Avro schema: TypeError"),
    (record_of({"type": "enum", "name": "E", "symbols": ["A", "A"]}), "not a valid Avro schema: .*unique"),
]  # fmt: skip
BAD_DEFAULTS = [
    ("bytes", "\u0100"),
    ({"type": "fixed", "name": "X", "size": 2}, "a"),
    ({"type": "enum", "name": "E", "symbols": ["A"]}, "B"),
    ("long", 2**80),
    ("int", "q"),
    ({"type": "bytes", "logicalType": "decimal", "precision": 1}, "\u0001\u0001"),
]


@pytest.mark.parametrize(("schema", "message"), BAD, ids=lambda value: str(value)[:50])
def test_what_no_reader_takes_is_rejected(schema: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        AvroFormat(schema, for_redshift=False)


@pytest.mark.parametrize(("kind", "default"), BAD_DEFAULTS, ids=repr)
def test_a_default_that_does_not_fit_is_rejected(kind: Any, default: Any) -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "x", "type": kind, "default": default}]}
    with pytest.raises(
        ConfigurationError, match=r"schema: x: the default does not fit|schema is not a valid Avro schema"
    ):
        AvroFormat(schema)


@settings(max_examples=100, deadline=None)
@given(records())
def test_the_project_s_own_parser_takes_what_we_take(sample: Sample) -> None:
    AvroFormat(sample.schema, for_redshift=False)
    assert avro.schema.parse(json.dumps(sample.schema))


def test_unions_that_copy_is_not_known_to_read() -> None:
    inner = {"type": "record", "name": "Q", "fields": [{"name": "u", "type": ["int", "string"]}]}
    for schema, where in (
        (record_of(["null", "int", "string"]), "schema.a "),
        (record_of({"type": "map", "values": inner}), r"schema.a.values.u "),
    ):
        AvroFormat(schema, for_redshift=False)
        AvroFormat(schema)
        for make in (
            lambda s=schema: AvroFormat(s, for_redshift=True),
            lambda s=schema: AvroFormat(s).resolved_for(copy=True),
        ):
            with pytest.raises(ConfigurationError, match=f"^{where}is a union of several types"):
                make()
    AvroFormat(record_of(["null", "int"], ["int", "null"], ["int"]), for_redshift=True)


def test_logical_types_become_strings_for_copy_wherever_they_stand() -> None:
    day = {"type": "int", "logicalType": "date"}
    money = {"type": "fixed", "name": "M", "size": 4, "logicalType": "decimal", "precision": 6, "scale": 2}
    inner = {"type": "record", "name": "Q", "doc": "kept", "fields": [{"name": "d", "type": day, "default": 1}]}
    given = record_of(
        ["null", day], {"type": "array", "items": day}, {"type": "map", "values": money}, "M", inner, "long"
    )
    body = AvroFormat(given, for_redshift=True).of_stream(STREAM).join([])
    rewritten = {"type": "record", "name": "Q", "doc": "kept", "fields": [{"name": "d", "type": "string"}]}
    wanted = record_of(
        ["null", "string"],
        {"type": "array", "items": "string"},
        {"type": "map", "values": "string"},
        "string",
        rewritten,
        "long",
    )
    start = body.index(b"avro.schema") + len(b"avro.schema") + 2
    written, _ = json.JSONDecoder().raw_decode(body[start:].decode("latin-1"))
    assert canonical(written) == canonical(wanted)
    with pytest.raises(ConfigurationError, match="the union has 'string' twice"):
        AvroFormat(record_of(["string", day]), for_redshift=True)


def canonical(schema: Any) -> str:
    return json.dumps(schema, sort_keys=True)
