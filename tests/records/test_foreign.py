"""Records and values of other libraries: written by rule, or rejected with the fix."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from typing import Any

import attrs
import msgspec
import numpy as np
import pandas as pd
import pydantic
import pytest
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)

from beam_s3box.records.encoding import RecordRules, encode_record
from beam_s3box.records.json_values import as_mapping
from beam_s3box.records.rejected_records import RejectedRecord
from beam_s3box.records.routing import Router
from beam_s3box.records.selector import StreamSelector
from beam_s3box.records.streams import Stream

DAY = datetime.timedelta(days=1, seconds=2, microseconds=500_000)
LAX = RecordRules(max_bytes=None, forbid_nul=False)


class Inner(pydantic.BaseModel):
    at: datetime.datetime


class Model(pydantic.BaseModel):
    id: int
    inner: Inner
    took: datetime.timedelta
    secret: str = pydantic.Field(default="x", exclude=True)


class Event(msgspec.Struct, tag="event", rename={"kind": "type_"}):
    kind: str
    took: datetime.timedelta | None = None
    left: int | msgspec.UnsetType = msgspec.UNSET


@attrs.define
class Point:
    x: int
    at: datetime.date


def written(record: Any) -> Any:
    fields = as_mapping(record)
    assert fields is not None
    return json.loads(encode_record(fields))


@pytest.mark.parametrize("others", [{}, {"big": 2**70}], ids=["fast", "slow"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (DAY, "P1DT2.5S"),
        (-DAY, "-P1DT2.5S"),
        (pd.Timedelta(DAY), "P1DT2.5S"),
        (np.timedelta64(1_500_000_001, "ns"), "PT1.5S"),
        (np.timedelta64("NaT"), None),
        (np.array([1], "m8[s]"), ["PT1S"]),
        (pd.NaT, None),
        (pd.NA, None),
        (
            Model(id=1, inner=Inner(at=datetime.datetime(2026, 1, 2)), took=DAY),
            {"id": 1, "inner": {"at": "2026-01-02T00:00:00Z"}, "took": "P1DT2.5S"},
        ),
        (Event("a"), {"type": "event", "type_": "a", "took": None}),
        (Point(1, datetime.date(2026, 1, 2)), {"x": 1, "at": "2026-01-02"}),
        (duration_pb2.Duration(seconds=1, nanos=500_000_000), "PT1.5S"),
        (timestamp_pb2.Timestamp(seconds=1), "1970-01-01T00:00:01Z"),
        (wrappers_pb2.Int64Value(value=2**62), 2**62),
        (struct_pb2.Value(null_value=0), None),
        (struct_pb2.Value(string_value="a"), "a"),
    ],
)
def test_values_of_other_libraries(value: Any, expected: Any, others: dict[str, Any]) -> None:
    assert json.loads(encode_record({"a": [value], **others})) == {"a": [expected], **others}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            Model(id=1, inner=Inner(at=datetime.datetime(2026, 1, 2)), took=DAY),
            {"id": 1, "inner": {"at": "2026-01-02T00:00:00Z"}, "took": "P1DT2.5S"},
        ),
        (Event("a", DAY, 3), {"type": "event", "type_": "a", "took": "P1DT2.5S", "left": 3}),
        (Point(1, datetime.date(2026, 1, 2)), {"x": 1, "at": "2026-01-02"}),
        (pd.Series({"a": 1, "b": pd.NA, 3: np.int64(2)}), {"a": 1, "b": None, "3": 2}),
        (next(pd.DataFrame({"a": [1]}).itertuples()), {"Index": 0, "a": 1}),
    ],
    ids=["pydantic", "msgspec", "attrs", "series", "itertuples"],
)
def test_records_of_other_libraries(record: Any, expected: Any) -> None:
    assert written(record) == expected


def test_messages_of_protobuf() -> None:
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="t", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    enum = file.enum_type.add(name="Color")
    enum.value.add(name="RED", number=0)
    enum.value.add(name="BLUE", number=1)
    thing = file.message_type.add(name="Thing")
    thing.field.add(name="big_id", number=1, type=kinds.TYPE_INT64, label=kinds.LABEL_OPTIONAL)
    thing.field.add(name="color", number=2, type=kinds.TYPE_ENUM, type_name=".t.Color", label=kinds.LABEL_OPTIONAL)
    thing.field.add(name="tags", number=3, type=kinds.TYPE_STRING, label=kinds.LABEL_REPEATED)
    thing.field.add(name="child", number=4, type=kinds.TYPE_MESSAGE, type_name=".t.Thing", label=kinds.LABEL_OPTIONAL)
    thing.field.add(name="raw", number=5, type=kinds.TYPE_BYTES, label=kinds.LABEL_OPTIONAL)
    entry = thing.nested_type.add(name="CountsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type=kinds.TYPE_ENUM, type_name=".t.Color", label=kinds.LABEL_OPTIONAL)
    thing.field.add(
        name="counts", number=6, type=kinds.TYPE_MESSAGE, type_name=".t.Thing.CountsEntry", label=kinds.LABEL_REPEATED
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    Thing = message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Thing"))
    record = Thing(big_id=2**62, color=1, tags=["a"], child=Thing(color=7), raw=b"\x01", counts={"k": 1})
    empty = {"big_id": 0, "color": 7, "tags": [], "child": None, "raw": "", "counts": {}}
    assert written(record) == {
        "big_id": 2**62,
        "color": "BLUE",
        "tags": ["a"],
        "child": empty,
        "raw": "01",
        "counts": {"k": "BLUE"},
    }


@pytest.mark.parametrize(
    ("element", "fix"),
    [
        (pd.DataFrame({"a": [1]}), "to_dict('records')"),
        ([{"a": 1}], "each of its items"),
        (({"a": 1} for _ in "a"), "FlatMap"),
        (object(), "an object, which has no fields that are known: give a dict or a dataclass"),
        (5, "an int, which has no fields that are known: give a dict or a dataclass"),
        ({"a": {1}}, "sorted"),
        ({"a": pd.Series([1])}, "tolist"),
    ],
)
def test_what_is_no_record_is_rejected_with_the_fix(element: Any, fix: str) -> None:
    rejected = Router(StreamSelector(domain="d", namespace="n"), LAX).route(element)
    assert isinstance(rejected, RejectedRecord)
    assert fix in rejected.detail


def test_none_of_them_is_imported() -> None:
    code = (
        "import sys; from beam_s3box.records.encoding import encode_record, as_mapping; encode_record({'a': 1}); "
        "as_mapping(object()); print([m for m in ('pydantic', 'attrs', 'pandas', 'google.protobuf', 'numpy') "
        "if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


LINES: list[tuple[dict[str, Any], Stream | None]] = [
    ({"user": {"country": "at", "x": 1}, "n": 1}, Stream("at", "1")),
    ({"user.country": "de", "n": "b"}, Stream("de", "b")),
    ({"user.country": "de", "user": {"country": "at"}, "n": "b"}, Stream("de", "b")),
    ({"user.country": "de", "user": 3, "n": "b"}, Stream("de", "b")),
    ({"user": {"country": 1.5}, "n": "b"}, Stream("1.5", "b")),
    ({"user": {}, "n": "b"}, None),
    ({"user": None, "n": "b"}, None),
    ({"user": "x", "n": "b"}, None),
    ({"n": "b"}, None),
]


@pytest.mark.parametrize(("record", "stream"), LINES)
def test_a_field_within_an_object_names_a_stream(record: dict[str, Any], stream: Stream | None) -> None:
    router = Router(StreamSelector(domain_field="user.country", namespace_field="n"), LAX)
    line = json.dumps(record).encode()
    for routed in (router.route(record), router.route(line)):
        if stream is None:
            assert isinstance(routed, RejectedRecord)
            assert routed.reason == "missing-stream"
            assert "'user.country'" in routed.detail
        else:
            assert not isinstance(routed, RejectedRecord)
            assert routed[0] == stream
    groups, rejected = router.route_lines([line])
    assert list(groups) == ([] if stream is None else [stream])
    assert len(rejected) == (stream is None)


def test_two_fields_within_one_object() -> None:
    router = Router(StreamSelector(domain_field="user.a.b", namespace_field="user.c"), LAX)
    groups, rejected = router.route_lines([b'{"user":{"c":1,"a":{"b":"x"}}}', b'{"user":{"c":1,"a":{}}}'])
    assert list(groups) == [Stream("x", "1")]
    assert len(rejected) == 1


def test_a_dot_that_belongs_to_a_name() -> None:
    router = Router(StreamSelector(domain_field="user\\.country", namespace="n"), LAX)
    groups, rejected = router.route_lines([b'{"user.country":"de"}', b'{"user":{"country":"at"}}'])
    assert list(groups) == [Stream("de", "n")]
    assert len(rejected) == 1
