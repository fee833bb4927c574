"""Avro, row by row against Apache's own reader and fastavro: all types, logical types, unions, codecs, cuts."""

from __future__ import annotations

import datetime
import decimal
import io
import json
import uuid
from typing import Any

import avro.datafile
import avro.io
import fastavro
import pytest

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.read.avro.reader import read_avro
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.encoding import encode_record
from beam_s3box.records.rejected_rows import RejectedRow

UTC = datetime.UTC
MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


def logical(kind: Any, name: str, /, **more: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": name, **more}


FIELDS: dict[str, tuple[Any, list[Any]]] = {
    "null": ("null", [None, None]),
    "boolean": ("boolean", [True, False]),
    "int": ("int", [-(2**31), 2**31 - 1]),
    "long": ("long", [-(2**63), 2**63 - 1]),
    "float": ("float", [0.5, -2.0]),
    "double": ("double", [0.1, 1e300]),
    "bytes": ("bytes", [b"\x00\xff", b""]),
    "string": ("string", ["ä", ""]),
    "fixed": ({"type": "fixed", "name": "f2", "size": 2}, [b"ab", b"\x00\x01"]),
    "enum": ({"type": "enum", "name": "e", "symbols": ["A", "B"]}, ["A", "B"]),
    "array": ({"type": "array", "items": "long"}, [[1], []]),
    "map": ({"type": "map", "values": "string"}, [{"a": "b"}, {}]),
    "record": ({"type": "record", "name": "inner", "fields": [{"name": "x", "type": "int"}]}, [{"x": 1}, {"x": 2}]),
    "again": (["null", "inner"], [None, {"x": 3}]),
    "union": (["null", "int", "string", {"type": "array", "items": "int"}], ["a", [1]]),
    "date": (logical("int", "date"), [datetime.date(1, 1, 1), datetime.date(9999, 12, 31)]),
    "date_or_null": (["null", logical("int", "date")], [None, datetime.date(2026, 1, 1)]),
    "time_ms": (logical("int", "time-millis"), [datetime.time(1, 2, 3, 4_000), datetime.time(0)]),
    "time_us": (logical("long", "time-micros"), [datetime.time(23, 59, 59, 999_999), datetime.time(0)]),
    "at_ms": (logical("long", "timestamp-millis"), [MOMENT, datetime.datetime(1969, 12, 31, tzinfo=UTC)]),
    "at_us": (logical("long", "timestamp-micros"), [MOMENT, MOMENT.replace(microsecond=1)]),
    "dates": ({"type": "array", "items": logical("int", "date")}, [[datetime.date(2026, 1, 1)], []]),
    "moments": ({"type": "map", "values": logical("long", "timestamp-micros")}, [{"a": MOMENT}, {}]),
    "decimal": (
        logical("bytes", "decimal", precision=40, scale=10),
        [decimal.Decimal("0E-10"), decimal.Decimal("-1.5")],
    ),
    "decimal_fixed": (
        logical("fixed", "decimal", name="d", size=16, precision=30, scale=2),
        [decimal.Decimal("12345678901234567890.12"), decimal.Decimal("-0.01")],
    ),
    "uuid": (logical("string", "uuid"), [uuid.UUID(int=1), uuid.UUID(int=2)]),
    "nested": (
        {
            "type": "record",
            "name": "n",
            "fields": [{"name": "at", "type": ["null", logical("long", "timestamp-micros")]}],
        },
        [{"at": MOMENT}, {"at": None}],
    ),
}


def file_of(schema: Any, rows: list[Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    fastavro.writer(buffer, schema, rows, **options)
    return buffer.getvalue()


def read(data: bytes) -> list[Any]:
    found: list[Any] = []
    for some in read_avro(iter([data[:7], data[7:]] if data else []), "f.avro"):
        found += map(json.loads, some.lines) if isinstance(some, LineBatch) else [some]
    return found


def schema_of(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "record",
        "name": "r",
        "namespace": "n.s",
        "fields": [{"name": k, "type": v} for k, v in fields.items()],
    }


ALL = schema_of({name: kind for name, (kind, _) in FIELDS.items()})
ROWS = [{name: values[at] for name, (_, values) in FIELDS.items()} for at in range(2)]


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz", "snappy", "zstandard"])
def test_every_type_and_codec_is_as_other_readers_read_it(codec: str) -> None:
    data = file_of(ALL, ROWS * 200, codec=codec, sync_interval=500)
    theirs = [json.loads(encode_record(row)) for row in fastavro.reader(io.BytesIO(data))]  # type: ignore[arg-type]
    assert read(data) == theirs
    if codec in ("null", "deflate", "bzip2"):
        with avro.datafile.DataFileReader(io.BytesIO(data), avro.io.DatumReader()) as reader:
            rows: list[Any] = list(reader)
        assert theirs == [json.loads(encode_record(row)) for row in rows]


def test_what_fastavro_does_not_convert() -> None:
    schema = schema_of(
        {
            "ns": logical("long", "timestamp-nanos"),
            "local": logical("long", "local-timestamp-millis"),
            "took": logical("fixed", "duration", name="dur", size=12),
            "id": logical("fixed", "uuid", name="u", size=16),
        }
    )
    row = {
        "ns": 1_700_000_000_123_456_789,
        "local": datetime.datetime(1970, 1, 1),
        "took": b"\x01\0\0\0\x02\0\0\0\xe8\x03\0\0",
        "id": uuid.UUID(int=1).bytes,
    }
    assert read(file_of(schema, [row])) == [
        {
            "ns": "2023-11-14T22:13:20.123456Z",
            "local": "1970-01-01T00:00:00Z",
            "took": "P1M2DT1S",
            "id": str(uuid.UUID(int=1)),
        }
    ]


def test_branches_of_a_union_are_told_apart() -> None:
    union = [
        "string",
        logical("long", "timestamp-micros"),
        logical("int", "date"),
        {"type": "record", "name": "a", "fields": [{"name": "x", "type": logical("int", "date")}]},
        {"type": "record", "name": "b", "fields": [{"name": "x", "type": "int"}]},
        "null",
    ]
    day = datetime.date(2026, 1, 1)
    values = [day, MOMENT, ("n.s.a", {"x": day}), ("n.s.b", {"x": 1}), "a", None]
    data = file_of(schema_of({"v": union}), [{"v": value} for value in values])
    found = [row["v"] for row in read(data)]
    assert found == ["2026-01-01", "2026-01-02T03:04:05.678000Z", {"x": "2026-01-01"}, {"x": 1}, "a", None]


def test_a_type_that_refers_to_itself() -> None:
    node = {
        "type": "record",
        "name": "node",
        "fields": [{"name": "day", "type": logical("int", "date")}, {"name": "next", "type": ["null", "node"]}],
    }
    day = datetime.date(2026, 1, 1)
    data = file_of(node, [{"day": day, "next": {"day": day, "next": None}}])
    assert read(data) == [{"day": "2026-01-01", "next": {"day": "2026-01-01", "next": None}}]


def test_rows_that_are_no_records_and_texts_that_are_not_utf8() -> None:
    (row,) = read(file_of("int", [3]))
    assert isinstance(row, RejectedRow)
    assert row.reason == "not-an-object"
    data = file_of(schema_of({"s": "string"}), [{"s": "abc"}, {"s": "xyz"}]).replace(b"abc", b"a\xffc")
    bad, good = sorted(read(data), key=lambda row: isinstance(row, dict))
    assert (bad.reason, bad.line) == ("invalid-utf8", 1)
    assert good == {"s": "xyz"}


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_a_cut_is_an_error_unless_it_is_between_two_blocks(codec: str) -> None:
    data = file_of(schema_of({"i": "long"}), [{"i": i} for i in range(300)], codec=codec, sync_interval=100)
    rows = [{"i": i} for i in range(300)]
    whole = []
    for end in range(len(data)):
        try:
            found = read(data[:end])
        except ConfigurationError as exc:
            assert "'f.avro'" in str(exc)  # noqa: PT017
            continue
        whole.append(end)
        assert found == rows[: len(found)]
    sync = data[-16:]
    assert all(data[:end].endswith(sync) for end in whole)


def test_a_block_with_more_rows_than_it_says_is_an_error() -> None:
    data = file_of(schema_of({"i": "int"}), [{"i": 1}, {"i": 2}])
    block = b"\x04\x04\x02\x04"  # two rows in two bytes, zigzag
    assert data.count(block) == 1
    with pytest.raises(
        ConfigurationError, match=r"'f\.avro' can't be read as Avro after row 1: a block holds more than"
    ):
        read(data.replace(block, b"\x02" + block[1:]))


@pytest.mark.parametrize("around", [lambda kind: kind, lambda kind: {"type": "map", "values": ["null", kind]}])
def test_two_fields_of_one_name_are_an_error(around: Any) -> None:
    pair = [{"name": "a", "type": "int"}, {"name": "b", "type": "int"}]
    kind = around({"type": "record", "name": "p", "fields": pair})
    data = file_of(schema_of({"v": kind}), []).replace(b'"name": "b"', b'"name": "a"')
    with pytest.raises(ConfigurationError, match=r"'f\.avro' has more than one column of the name 'v\.a'"):
        read(data)


def test_metadata_of_users_may_be_any_bytes() -> None:
    data = file_of(schema_of({"i": "int"}), [{"i": 1}], metadata={"mine": "abc"}, codec="deflate")
    assert data.count(b"abc") == 1
    assert read(data.replace(b"abc", b"\xff\0\xfe")) == [{"i": 1}]
