"""Python records as lines of JSON: what each value and each key becomes, and which have no form."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import json
import types
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from beam_s3box.errors import RecordError
from beam_s3box.records.encoding import LONE_SURROGATE, UNSUPPORTED_VALUE, encode_record
from beam_s3box.records.json_values import as_mapping
from tests.records.values import OBJECTS, Count, Kind, nested

BIG = 10**30
"""Over 64 bits: a record that holds it is encoded by the slower of the two encoders."""
BERLIN = datetime.timezone(datetime.timedelta(hours=1))
TIMES = st.datetimes(
    min_value=datetime.datetime(2, 1, 1),
    max_value=datetime.datetime(9998, 1, 1),
    timezones=st.one_of(st.none(), st.timezones()),
)


class Color(enum.Enum):
    RED = "red"
    EXACT = decimal.Decimal("1.50")


class Level(enum.IntEnum):
    LOW = 1


class Point(NamedTuple):
    x: int
    y: datetime.date


@dataclasses.dataclass
class Order:
    id: uuid.UUID
    at: Point
    price: decimal.Decimal | None = None


class Row:
    """Looks like a Beam row."""

    def __init__(self, **fields: Any) -> None:
        self._fields = fields

    def as_dict(self) -> dict[str, Any]:
        return dict(self._fields)


class Moment:
    """Looks like Beam's Timestamp."""

    def to_utc_datetime(self) -> datetime.datetime:
        return datetime.datetime(2026, 11, 22, 10, 15, 0, 5)


ID = uuid.UUID("12345678-1234-5678-1234-567812345678")
CASES: dict[str, tuple[Any, Any]] = {
    "datetime-naive": (datetime.datetime(2026, 11, 22, 10, 15), "2026-11-22T10:15:00Z"),
    "datetime-micros": (datetime.datetime(2026, 11, 22, 10, 15, 0, 120), "2026-11-22T10:15:00.000120Z"),
    "datetime-aware": (datetime.datetime(2026, 11, 22, 0, 15, tzinfo=BERLIN), "2026-11-21T23:15:00Z"),
    "datetime-utc": (datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC), "2026-11-22T00:00:00Z"),
    "datetime-early": (datetime.datetime(1, 1, 1), "0001-01-01T00:00:00Z"),
    "pandas": (pd.Timestamp("2026-11-22 10:15:00.123456789"), "2026-11-22T10:15:00.123456Z"),
    "pandas-aware": (pd.Timestamp("2026-11-22", tz="Europe/Berlin"), "2026-11-21T23:00:00Z"),
    "pandas-nat": (pd.NaT, None),
    "beam-timestamp": (Moment(), "2026-11-22T10:15:00.000005Z"),
    "date": (datetime.date(2026, 11, 22), "2026-11-22"),
    "time": (datetime.time(10, 15, 0, 5), "10:15:00.000005"),
    "time-aware": (datetime.time(10, 15, tzinfo=BERLIN), "10:15:00+01:00"),
    "decimal": (decimal.Decimal("1.50"), "1.50"),
    "decimal-exact": (decimal.Decimal("0.1000000000000000000000000000000001"), "0.1000000000000000000000000000000001"),
    "decimal-exponent": (decimal.Decimal("1E+3"), "1000"),
    "decimal-zero-of-a-scale": (decimal.Decimal("0E-10"), "0.0000000000"),
    "decimal-small": (decimal.Decimal("-1E-10"), "-0.0000000001"),
    "decimal-largest": (decimal.Decimal("1E+6176"), "1" + "0" * 6176),
    "decimal-beyond-any-type": (decimal.Decimal("1E+999999999999999999"), "1E+999999999999999999"),
    "decimal-as-key": ({decimal.Decimal("1E+3"): 1}, {"1000": 1}),
    "decimal-nan": (decimal.Decimal("NaN"), None),
    "decimal-snan": (decimal.Decimal("sNaN"), None),
    "decimal-infinity": (decimal.Decimal("-Infinity"), None),
    "uuid": (ID, "12345678-1234-5678-1234-567812345678"),
    "enum": (Color.RED, "red"),
    "enum-of-decimal": (Color.EXACT, "1.50"),
    "enum-int": (Level.LOW, 1),
    "enum-text": (Kind.CLICK, "click"),
    "bytes": (b"\x00\xffa", "00ff61"),
    "bytearray": (bytearray(b"\x01"), "01"),
    "memoryview": (memoryview(b"ab"), "6162"),
    "nan": (float("nan"), None),
    "infinity": (float("inf"), None),
    "minus-infinity": (float("-inf"), None),
    "float": (0.1, 0.1),
    "float-large": (1e300, 1e300),
    "int-64": (2**63 - 1, 2**63 - 1),
    "int-unsigned": (2**64 - 1, 2**64 - 1),
    "int-big": (2**64, 2**64),
    "int-bigger": (-(10**100), -(10**100)),
    "bool": (True, True),
    "none": (None, None),
    "text": ('ä\u2028💧\x7f"\\\n\r\t\x00', 'ä\u2028💧\x7f"\\\n\r\t\x00'),
    "tuple": ((1, (2, "a")), [1, [2, "a"]]),
    "list-of-odd": ([datetime.date(2026, 1, 2), decimal.Decimal("1"), None], ["2026-01-02", "1", None]),
    "namedtuple": (Point(1, datetime.date(2026, 1, 2)), {"x": 1, "y": "2026-01-02"}),
    "dataclass": (
        Order(ID, Point(1, datetime.date(2026, 1, 2)), decimal.Decimal("9.90")),
        {"id": str(ID), "at": {"x": 1, "y": "2026-01-02"}, "price": "9.90"},
    ),
    "row": (Row(a=1, b=Row(c=Color.RED)), {"a": 1, "b": {"c": "red"}}),
    "mapping": (types.MappingProxyType({"a": 1}), {"a": 1}),
    "userdict": (collections.UserDict(a=decimal.Decimal("1")), {"a": "1"}),
    "ordered": (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    "np-int": (np.int64(-5), -5),
    "np-uint8": (np.uint8(255), 255),
    "np-float64": (np.float64(0.1), 0.1),
    "np-float32": (np.float32(0.1), 0.1),
    "np-float16": (np.float16(1.5), 1.5),
    "np-nan": (np.float64("nan"), None),
    "np-nan32": (np.float32("nan"), None),
    "np-bool": (np.bool_(True), True),
    "np-str": (np.str_("a"), "a"),
    "np-bytes": (np.bytes_(b"a"), "61"),
    "np-datetime": (np.datetime64("2026-11-22T10:15:00.123456789"), "2026-11-22T10:15:00.123456Z"),
    "np-day": (np.datetime64("2026-11-22"), "2026-11-22T00:00:00Z"),
    "np-array": (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    "np-array-nan": (np.array([1.5, np.nan]), [1.5, None]),
    "np-array-float32": (np.array([0.1], dtype=np.float32), [0.1]),
    "np-array-bool": (np.array([True, False]), [True, False]),
    "np-array-empty": (np.array([]), []),
    "np-array-0d": (np.array(5), 5),
    "np-array-strided": (np.arange(10)[::2], [0, 2, 4, 6, 8]),
    "np-array-transposed": (np.arange(4).reshape(2, 2).T, [[0, 2], [1, 3]]),
    "np-array-big-endian": (np.arange(3, dtype=">i4"), [0, 1, 2]),
}


@pytest.mark.parametrize("others", [{}, {"big": BIG}], ids=["fast", "slow"])
@pytest.mark.parametrize("name", CASES)
def test_values(name: str, others: dict[str, Any]) -> None:
    """Both encoders write every documented value alike, at the top and inside of others."""
    value, expected = CASES[name]
    line = encode_record({"v": value, "deep": [{"v": value}], **others})
    assert json.loads(line) == {"v": expected, "deep": [{"v": expected}], **others}
    assert b"\n" not in line
    assert b"NaN" not in line


@pytest.mark.parametrize("name", CASES)
def test_both_encoders_write_the_same_bytes(name: str) -> None:
    value, _ = CASES[name]
    fast, slow = encode_record({"v": value}), encode_record({"v": value, "z": BIG})
    assert slow == fast[:-1] + b',"z":' + str(BIG).encode() + b"}"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("a", "a"),
        (1, "1"),
        (-(10**30), "-1" + "0" * 30),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        (None, "null"),
        (datetime.date(2026, 11, 22), "2026-11-22"),
        (datetime.datetime(2026, 11, 22, tzinfo=BERLIN), "2026-11-21T23:00:00Z"),
        (decimal.Decimal("1.50"), "1.50"),
        (ID, str(ID)),
        (Color.RED, "red"),
        (Level.LOW, "1"),
        (Kind.CLICK, "click"),
        (Count.TWO, "2"),
        (b"a", "61"),
        (np.str_("a"), "a"),
        (np.float64(1.5), "1.5"),
    ],
)
def test_keys_become_text_as_values_do(key: Any, text: str) -> None:
    assert json.loads(encode_record({"a0": {key: 1}})) == {"a0": {text: 1}}
    assert json.loads(encode_record({key: 1})) == {text: 1}


@pytest.mark.parametrize("first", [1, True, None, 1.0, datetime.date(2026, 1, 2), Color.RED])
def test_keys_that_become_the_same_text_lose_no_value(first: Any) -> None:
    """One of two values would be gone without a word."""
    text = next(iter(json.loads(encode_record({first: 1}))))
    with pytest.raises(RecordError) as caught:
        encode_record({"v": {first: 1, text: 2}})
    assert caught.value.reason == UNSUPPORTED_VALUE


@pytest.mark.parametrize(
    "key", [(1, 2), frozenset(), object(), Point(1, datetime.date(2026, 1, 2)), decimal.Decimal("NaN")]
)
def test_keys_without_a_text_are_rejected(key: Any) -> None:
    with pytest.raises(RecordError) as caught:
        encode_record({key: 1})
    assert caught.value.reason == UNSUPPORTED_VALUE


@pytest.mark.parametrize("others", [{}, {"big": BIG}], ids=["fast", "slow"])
@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({1}, "set has no JSON form"),
        (object(), "object has no JSON form"),
        (1j, "complex has no JSON form"),
        (frozenset({1}), "frozenset has no JSON form: a set has no order"),
        (range(2), "range has no JSON form: give list"),
        (len, "has no JSON form"),
        (Order, "type has no JSON form"),
        (Row, "type has no JSON form"),
        (Color, "EnumType has no JSON form"),
        (iter([]), "list_iterator has no JSON form"),
        (pd.Series([1]), "Series"),
        (np.complex128(1), "complex"),
    ],
)
def test_other_types_are_rejected_by_name(value: Any, says: str, others: dict[str, Any]) -> None:
    with pytest.raises(RecordError, match=says) as caught:
        encode_record({"a": [value], **others})
    assert caught.value.reason == UNSUPPORTED_VALUE


@pytest.mark.parametrize("others", [{}, {"big": BIG}], ids=["fast", "slow"])
@pytest.mark.parametrize("value", ["\ud800", "a\udfffb", {"\ud800": 1}, ["x", {"y": "\udc00"}]])
def test_lone_surrogates_are_rejected(value: Any, others: dict[str, Any]) -> None:
    with pytest.raises(RecordError, match="lone surrogate") as caught:
        encode_record({"a": value, **others})
    assert caught.value.reason == LONE_SURROGATE


@pytest.mark.parametrize("hours", [-1, 1])
def test_times_at_the_ends_of_the_calendar_never_crash(hours: int) -> None:
    """Such a time has no form in UTC: the record is rejected, the bundle is not."""
    zone = datetime.timezone(datetime.timedelta(hours=hours))
    edge = datetime.datetime.max if hours < 0 else datetime.datetime.min
    with pytest.raises(RecordError) as caught:
        encode_record({"at": edge.replace(tzinfo=zone)})
    assert caught.value.reason == UNSUPPORTED_VALUE


@pytest.mark.parametrize(
    "make", [lambda: nested(5_000), lambda: looped(), lambda: 10**5000], ids=["deep", "loop", "huge"]
)
def test_what_can_not_be_written_is_rejected_and_never_crashes(make: Callable[[], Any]) -> None:
    with pytest.raises(RecordError) as caught:
        encode_record({"v": make()})
    assert caught.value.reason == UNSUPPORTED_VALUE


def looped() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def test_depth_within_reason_is_written() -> None:
    value = nested(300)
    assert json.loads(encode_record({"v": value, "d": {"a": nested(100)}})) == {"v": value, "d": {"a": nested(100)}}


@settings(max_examples=200, deadline=None)
@given(OBJECTS)
@example({"a": 2**64, "b": -(2**63) - 1, "": 0.1})
def test_json_objects_come_back_as_they_were(record: dict[str, Any]) -> None:
    line = encode_record(record)
    assert json.loads(line) == record
    assert b"\n" not in line
    assert b"\r" not in line
    assert types_of(json.loads(line)) == types_of(record)


@settings(max_examples=100, deadline=None)
@given(OBJECTS)
def test_both_encoders_agree_on_any_object(record: dict[str, Any]) -> None:
    slow = json.loads(encode_record({"r": record, "z": BIG}))["r"]
    assert slow == json.loads(encode_record({"r": record}))["r"]
    assert types_of(slow) == types_of(record)


def types_of(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: types_of(item) for key, item in value.items()}
    return [types_of(item) for item in value] if isinstance(value, list) else type(value)


@settings(max_examples=100, deadline=None)
@given(st.decimals(), TIMES)
def test_decimals_and_times_are_exact(number: decimal.Decimal, time: datetime.datetime) -> None:
    written = json.loads(encode_record({"n": number, "t": time}))
    if number.is_finite():
        assert decimal.Decimal(written["n"]).compare_total(number) == 0
    else:
        assert written["n"] is None
    assert written["t"].endswith("Z")
    assert len(written["t"]) <= len("2026-11-22T10:15:00.123456Z")
    aware = time if time.tzinfo else time.replace(tzinfo=datetime.UTC)
    assert datetime.datetime.fromisoformat(written["t"]) == aware.astimezone(datetime.UTC)


def test_the_record_itself_is_left_alone() -> None:
    inner = {"at": datetime.date(2026, 1, 2), 1: [decimal.Decimal("1")]}
    record = {"v": inner, "big": BIG}
    encode_record(record)
    assert record == {"v": inner, "big": BIG}
    assert inner == {"at": datetime.date(2026, 1, 2), 1: [decimal.Decimal("1")]}


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        ({"a": 1}, {"a": 1}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (Point(1, datetime.date(2026, 1, 2)), {"x": 1, "y": datetime.date(2026, 1, 2)}),
        (Order(ID, Point(1, datetime.date.max)), {"id": ID, "at": Point(1, datetime.date.max), "price": None}),
        (Row(a=1), {"a": 1}),
        ((1, 2), None),
        ([("a", 1)], None),
        ("{}", None),
        (5, None),
        (None, None),
        (Order, None),
        (Row, None),
        (Point, None),
        (dict, None),
    ],
)
def test_as_mapping(value: Any, fields: dict[str, Any] | None) -> None:
    assert as_mapping(value) == fields


@pytest.mark.parametrize(
    "missing", [np.datetime64("NaT"), np.datetime64("NaT", "ns"), np.float64("nan"), np.float16("nan")]
)
def test_missing_numpy_values_are_null(missing: object) -> None:
    assert encode_record({"a": missing}) == encode_record({"a": None})
    assert json.loads(encode_record({"a": missing, "b": 2**70})) == {"a": None, "b": 2**70}
