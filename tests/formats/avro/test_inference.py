"""A schema from a sample: the sample itself always fits."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError
from beam_s3box.formats import AvroFormat, avro_schema_of
from beam_s3box.records.encoding import encode_record
from tests.formats.avro.avro_samples import STREAM, read, shard

KEYS = st.sampled_from(["a", "b", "c", "x-y", "1"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.lists(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES, min_size=1, max_size=3), min_size=1, max_size=5
)


@settings(max_examples=200, deadline=None)
@given(RECORDS)
def test_the_sample_fits(records: list[dict[str, Any]]) -> None:
    format = AvroFormat(avro_schema_of(records), for_redshift=False)
    found = read(shard(format, *records))
    assert len(found) == len(records)
    assert avro_schema_of(records) == avro_schema_of(json.dumps(record) for record in records)


def types(*records: Any) -> dict[str, Any]:
    return {field["name"]: field["type"] for field in avro_schema_of(records)["fields"]}


class Row(NamedTuple):
    a: int
    b: str


def test_types() -> None:
    day = datetime.date(2026, 11, 22)
    found = types(
        {
            "bool": True, "int": 1, "float": 1.5, "text": "x", "none": None, "huge": 2**64, "raw": b"x",
            "at": datetime.datetime(2026, 11, 22), "day": day, "time": datetime.time(1), "id": uuid.UUID(int=1),
            "sum": decimal.Decimal("1.5"), "list": [1, 2.5], "empty": [], "map": {"x-y": 1}, "row": Row(1, "x"),
        }
    )  # fmt: skip
    assert found == {
        "bool": ["null", "boolean"],
        "int": ["null", "long"],
        "float": ["null", "double"],
        "text": ["null", "string"],
        "none": ["null", "string"],
        "huge": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 0}],
        "raw": ["null", "bytes"],
        "at": ["null", {"type": "long", "logicalType": "timestamp-micros"}],
        "day": ["null", {"type": "int", "logicalType": "date"}],
        "time": ["null", {"type": "long", "logicalType": "time-micros"}],
        "id": ["null", {"type": "string", "logicalType": "uuid"}],
        "sum": ["null", "string"],
        "list": ["null", {"type": "array", "items": ["null", "double"]}],
        "empty": ["null", {"type": "array", "items": ["null", "string"]}],
        "map": ["null", {"type": "map", "values": ["null", "long"]}],
        "row": ["null", {"type": "record", "name": "Record_row", "fields": [
            {"name": "a", "type": ["null", "long"], "default": None},
            {"name": "b", "type": ["null", "string"], "default": None},
        ]}],
    }  # fmt: skip


def test_a_sample_of_pythons_values_fits() -> None:
    record = {
        "at": datetime.datetime(2026, 11, 22),
        "id": uuid.UUID(int=1),
        "sum": decimal.Decimal("1.5"),
        "raw": b"\x00\xff",
    }
    format = AvroFormat(avro_schema_of([record]), for_redshift=False)
    [found] = read(format.join([format.cut([format.encoder(STREAM)(encode_record(record))])]))
    assert found == {**record, "at": record["at"].replace(tzinfo=datetime.UTC), "sum": "1.5"}  # type: ignore[attr-defined]


def test_later_records_widen_what_earlier_ones_said() -> None:
    assert types({"a": 1}, {"b": "x"}, {"a": None}) == {"a": ["null", "long"], "b": ["null", "string"]}
    assert types({"a": 1}, {"a": 1.5}) == {"a": ["null", "double"]}
    assert types({"a": 1}, {"a": 2**64})["a"][1]["logicalType"] == "decimal"
    assert types({"a": 2**64}, {"a": 0.5}) == {"a": ["null", "double"]}
    assert types({"a": 1}, {"a": "x"}) == {"a": ["null", "long", "string"]}


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "no field to infer"),
        ([{}], "no field to infer"),
        ([[1]], "holds a list, and a record must be an object"),
        (["[1]"], "holds a list, and a record must be an object"),
        (["{"], "text that is not JSON"),
        ([{"x-y": 1}], "the field 'x-y'; a name in Avro"),
        ([{"a": object()}], "hold a object, whose type in Avro is not known"),
    ],
)
def test_what_can_t_be_inferred_is_said(records: list[Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        avro_schema_of(records)
