"""The rows of the outputs of a write: a schema of plain types, which SQL, YAML and Java runners can read."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import pytest
from apache_beam.coders import RowCoder
from apache_beam.portability.api import schema_pb2
from apache_beam.typehints.schemas import named_tuple_to_schema

from beam_s3box import DeadLetter, Manifest, ShardFile
from beam_s3box.transforms import WriteToS3Box

STRING, BYTES, INT64, DOUBLE = schema_pb2.STRING, schema_pb2.BYTES, schema_pb2.INT64, schema_pb2.DOUBLE
SHARD = ShardFile("web", "clicks", "w", "s3://b/k", "k", 1, 2**40, 3, "ab", "records")
MANIFEST = Manifest("web", None, "w", 1, "s3://b/m", "m", 1, 2, 2**40, 4)
LETTER = DeadLetter(None, "clicks", "not-json", "why", b"\xff{", "in.jsonl", 2**40)
ROWS = pytest.mark.parametrize("row", [SHARD, MANIFEST, LETTER], ids=lambda row: type(row).__name__)


def schema_of(row: Any) -> schema_pb2.Schema:
    coder = beam.coders.registry.get_coder(type(row))  # registered where the transform is imported from
    assert isinstance(coder, RowCoder)
    return coder.schema


@ROWS
def test_every_field_is_of_an_atomic_type(row: Any) -> None:
    """A logical type that only Python knows would be an error in Java runners, and only there."""
    fields = schema_of(row).fields
    assert [field.name for field in fields] == list(row._fields)
    for field in fields:
        assert field.type.WhichOneof("type_info") == "atomic_type", f"{field.name} is {field.type}"
        assert field.type.atomic_type in (STRING, BYTES, INT64, DOUBLE)


@ROWS
def test_a_field_may_be_missing_where_none_is_a_value(row: Any) -> None:
    optional = {field.name for field in schema_of(row).fields if field.type.nullable}
    expected = {
        ShardFile: set(),
        Manifest: {"domain", "namespace"},
        DeadLetter: {"domain", "namespace", "source", "line", "offset", "sequence_number"},
    }
    assert optional == expected[type(row)]


@ROWS
def test_a_row_comes_back_from_its_bytes(row: Any) -> None:
    coder = beam.coders.registry.get_coder(type(row))
    assert tuple(coder.decode(coder.encode(row))) == tuple(row)


def test_the_outputs_say_so() -> None:
    result = beam.Pipeline() | beam.Create([{}]) | WriteToS3Box("memory://rows", domain="a", namespace="b")
    assert [output.element_type for output in result[:3]] == [ShardFile, Manifest, DeadLetter]


@ROWS
def test_the_schema_is_the_one_that_beam_reads_off_the_type(row: Any) -> None:
    """Cross-language steps ask for it again, of the class and not of its coder."""
    assert named_tuple_to_schema(type(row)).fields == schema_of(row).fields
