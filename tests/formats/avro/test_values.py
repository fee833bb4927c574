"""Logical types: kept as Avro has them, or as text that COPY converts."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_s3box.errors import RecordError
from beam_s3box.formats import AvroFormat
from beam_s3box.records.encoding import encode_record
from tests.formats.avro.avro_samples import STREAM, encode, read, read_independently, record_of, round_trip, shard

UTC = datetime.UTC
DATE = {"type": "int", "logicalType": "date"}
TIME_MS = {"type": "int", "logicalType": "time-millis"}
TIME_US = {"type": "long", "logicalType": "time-micros"}
STAMP_MS = {"type": "long", "logicalType": "timestamp-millis"}
STAMP_US = {"type": "long", "logicalType": "timestamp-micros"}
LOCAL_US = {"type": "long", "logicalType": "local-timestamp-micros"}
MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}
FIXED_MONEY = {"type": "fixed", "name": "M", "size": 4, "logicalType": "decimal", "precision": 6, "scale": 2}
UUID = {"type": "string", "logicalType": "uuid"}
FIXED_UUID = {"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"}
ID = "12345678-9abc-def0-1234-56789abcdef0"
NOON = datetime.datetime(2026, 11, 22, 12, 0, 0, 123456, UTC)

KEPT = [
    (DATE, "2026-11-22", datetime.date(2026, 11, 22), "2026-11-22"),
    (DATE, -1, datetime.date(1969, 12, 31), "1969-12-31"),
    (TIME_MS, "10:15:00.5009", datetime.time(10, 15, 0, 500_000), "10:15:00.500900"),
    (TIME_US, "23:59:59.999999", datetime.time(23, 59, 59, 999_999), "23:59:59.999999"),
    (TIME_MS, 1, datetime.time(0, 0, 0, 1000), "00:00:00.001000"),
    (STAMP_US, "2026-11-22T12:00:00.123456Z", NOON, "2026-11-22T12:00:00.123456Z"),
    (STAMP_US, "2026-11-22T14:00:00.123456+02:00", NOON, "2026-11-22T12:00:00.123456Z"),
    (STAMP_US, "2026-11-22 12:00:00.123456789", NOON, "2026-11-22T12:00:00.123456Z"),
    (STAMP_US, 0, datetime.datetime(1970, 1, 1, tzinfo=UTC), "1970-01-01T00:00:00Z"),
    (STAMP_MS, "1969-12-31T23:59:59.9999Z", datetime.datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC), "1969-12-31T23:59:59.999900Z"),
    (STAMP_MS, 1500, datetime.datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC), "1970-01-01T00:00:01.500000Z"),
    (LOCAL_US, "2026-11-22T12:00:00", datetime.datetime(2026, 11, 22, 12), "2026-11-22T12:00:00"),
    (LOCAL_US, "2026-11-22T12:00:00Z", datetime.datetime(2026, 11, 22, 12), "2026-11-22T12:00:00"),
    (MONEY, "12.3", decimal.Decimal("12.30"), "12.30"),
    (MONEY, 1.1, decimal.Decimal("1.10"), "1.10"),
    (MONEY, -9999, decimal.Decimal("-9999.00"), "-9999.00"),
    (MONEY, "0e-9", decimal.Decimal("0.00"), "0.00"),
    (MONEY, "1.28", decimal.Decimal("1.28"), "1.28"),
    (MONEY, "-1.28", decimal.Decimal("-1.28"), "-1.28"),
    (MONEY, "12.300000", decimal.Decimal("12.30"), "12.30"),
    (FIXED_MONEY, "-0.01", decimal.Decimal("-0.01"), "-0.01"),
    (UUID, ID.upper(), uuid.UUID(ID), ID),
    (FIXED_UUID, ID, uuid.UUID(ID).bytes, ID),  # fastavro leaves the bytes
]  # fmt: skip


@pytest.mark.parametrize(("kind", "given", "kept", "text"), KEPT, ids=repr)
def test_kept_or_written_as_text(kind: Any, given: Any, kept: Any, text: str) -> None:
    assert round_trip(kind, given, for_redshift=False) == kept
    assert round_trip(["null", kind], given, for_redshift=False) == kept
    assert round_trip(kind, given, for_redshift=True) == text
    assert round_trip(["null", kind], given, for_redshift=True) == text
    assert round_trip({"type": "array", "items": kind}, [given], for_redshift=True) == [text]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (DATE, "22.11.2026"), (DATE, "2026-11-22T10:00:00Z"), (DATE, 1.5), (DATE, None), (DATE, 2**31), (DATE, True),
        (TIME_US, "10:15:00Z"), (TIME_US, "25:00"), (TIME_US, -1), (TIME_US, 86_400_000_000), (TIME_MS, 86_400_000),
        (STAMP_US, "yesterday"), (STAMP_US, 1.5), (STAMP_US, 2**63), (STAMP_MS, []), (STAMP_US, ""),
        (LOCAL_US, "2026-11-22T12:00:00+02:00"), (LOCAL_US, "x"),
        (MONEY, "1.234"), (MONEY, "12345"), (MONEY, 10000), (MONEY, "NaN"), (MONEY, "Infinity"), (MONEY, "1_0"),
        (MONEY, " 1"), (MONEY, "1e999999999"), (MONEY, "1e-999999999"), (MONEY, True), (MONEY, None), (MONEY, ""),
        (MONEY, "9" * 5000), (FIXED_MONEY, "99999.99"), (UUID, "x"), (UUID, 5), (FIXED_UUID, "zz"),
    ],
    ids=lambda value: repr(value)[:60],
)  # fmt: skip
@pytest.mark.parametrize("for_redshift", [True, False])
def test_what_is_no_such_value_is_rejected(kind: Any, value: Any, for_redshift: bool) -> None:
    schema = record_of(kind)
    if (kind, value) == (DATE, 2**31) and for_redshift:
        value = 2**40
    with pytest.raises(RecordError, match="does not fit the schema: a: "):
        encode(AvroFormat(schema, for_redshift=for_redshift), {"a": value})


def test_a_number_that_is_no_date_can_be_kept_and_not_be_text() -> None:
    """Avro's range is larger than the calendar's."""
    for kind, number in ((DATE, 2**30), (STAMP_US, 2**62), (LOCAL_US, -(2**62))):
        assert encode(AvroFormat(record_of(kind), for_redshift=False), {"a": number})
        with pytest.raises(RecordError, match="no date of the years 1 to 9999"):
            encode(AvroFormat(record_of(kind)), {"a": number})


def test_an_unknown_logical_type_is_the_type_below() -> None:
    nanos = {"type": "long", "logicalType": "timestamp-nanos-of-mars"}
    assert round_trip(nanos, 5, for_redshift=True) == 5
    assert round_trip({"type": "string", "logicalType": "date"}, "x", for_redshift=True) == "x"
    small = {"type": "fixed", "name": "U", "size": 2, "logicalType": "uuid"}
    assert encode(AvroFormat(record_of(small)), {"a": "ffff"}) == [b"\xff\xff"]


@settings(max_examples=200, deadline=None)
@given(
    st.datetimes(timezones=st.just(UTC) | st.none()),
    st.dates(),
    st.times(),
    st.decimals(allow_nan=False, allow_infinity=False, places=5, min_value=-(10**20), max_value=10**20),
    st.uuids(),
    st.binary(max_size=20),
)
def test_pythons_own_values_arrive_unchanged(
    moment: datetime.datetime,
    day: datetime.date,
    time: datetime.time,
    number: decimal.Decimal,
    name: uuid.UUID,
    raw: bytes,
) -> None:
    wide = {"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 5}
    schema = record_of(STAMP_US, DATE, TIME_US, wide, UUID, "bytes", FIXED_UUID)
    given = dict(zip("abcdefg", [moment, day, time, number, name, raw, name], strict=True))
    format = AvroFormat(schema, for_redshift=False)
    body = format.join([format.cut([format.encoder(STREAM)(encode_record(given))])])
    wanted = {**given, "a": moment.replace(tzinfo=UTC), "g": name.bytes}
    assert read(body) == [wanted]
    text = AvroFormat(schema, for_redshift=True)
    [found] = read(text.join([text.cut([text.encoder(STREAM)(encode_record(given))])]))
    assert datetime.datetime.fromisoformat(found["a"]) == wanted["a"]
    assert found["a"].endswith("Z")
    assert (found["b"], found["c"]) == (day.isoformat(), time.isoformat())
    assert found["d"] == json.loads(encode_record({"d": number}))["d"]
    assert (found["e"], found["f"], found["g"]) == (str(name), raw, str(name))


def test_an_independent_reader_knows_the_logical_types() -> None:
    schema = record_of(STAMP_US, DATE, TIME_US, MONEY, FIXED_MONEY)
    given = {"a": NOON.isoformat(), "b": "2026-11-22", "c": "10:15:00", "d": "1.28", "e": "-1.28"}
    [found] = read_independently(shard(AvroFormat(schema, for_redshift=False), given))
    assert found == {
        "a": NOON,
        "b": datetime.date(2026, 11, 22),
        "c": datetime.time(10, 15),
        "d": decimal.Decimal("1.28"),
        "e": decimal.Decimal("-1.28"),
    }


def test_decimals_take_as_few_bytes_as_they_can() -> None:
    """A record has one row, whoever writes it."""
    rows = encode(
        AvroFormat(record_of(MONEY), for_redshift=False), *({"a": n} for n in ("1.27", "1.28", "-1.28", "-1.29", 0))
    )
    assert rows == [b"\x02\x7f", b"\x04\x00\x80", b"\x02\x80", b"\x04\xff\x7f", b"\x02\x00"]


def test_defaults_of_logical_types() -> None:
    """A schema gives them as Avro stores them."""
    fields = [
        {"name": "day", "type": DATE, "default": 1},
        {"name": "at", "type": STAMP_MS, "default": 1500},
        {"name": "sum", "type": MONEY, "default": "\u0000\u0080"},
        {"name": "less", "type": FIXED_MONEY, "default": "\u00ff\u00ff\u00ff\u0080"},
        {"name": "again", "type": "M", "default": "\u0000\u0000\u0000\u0001"},
    ]
    schema = {"type": "record", "name": "R", "fields": fields}
    kept = read(shard(AvroFormat(schema, for_redshift=False), {}))
    assert kept == [
        {
            "day": datetime.date(1970, 1, 2),
            "at": datetime.datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC),
            "sum": decimal.Decimal("1.28"),
            "less": decimal.Decimal("-1.28"),
            "again": decimal.Decimal("0.01"),
        }
    ]
    text = read(shard(AvroFormat(schema), {}))
    assert text == [
        {"day": "1970-01-02", "at": "1970-01-01T00:00:01.500000Z", "sum": "1.28", "less": "-1.28", "again": "0.01"}
    ]
