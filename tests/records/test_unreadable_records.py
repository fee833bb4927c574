"""Records of which the code of their own class raises an error when they are read: each is rejected, and fails nothing."""

from __future__ import annotations

import collections
import dataclasses
import datetime
from typing import Any, NoReturn

import attrs
import pydantic
import pytest

from beam_s3box.box import S3Box
from beam_s3box.errors import RecordError
from beam_s3box.records.encoding import UNSUPPORTED_VALUE
from beam_s3box.records.rejected_records import RejectedRecord
from beam_s3box.records.routing import Router
from beam_s3box.records.selector import StreamSelector
from tests.records.router_rules import BY_FIELDS, LAX

CONSTANT = StreamSelector(domain="d", namespace="n")


@dataclasses.dataclass
class Unset:
    d: str = "a"
    n: str = "b"
    total: int = dataclasses.field(init=False)


@attrs.define
class UnsetSlot:
    d: str = "a"
    n: str = "b"
    total: int = attrs.field(init=False)


class Model(pydantic.BaseModel):
    d: str = "a"
    n: str = "b"

    @pydantic.field_serializer("n")
    def fail(self, value: str) -> str:
        raise KeyError("serializer")


class Row:
    def as_dict(self, required: str) -> dict[str, str]:
        return {required: "a"}


class Detached(collections.UserDict[str, str]):
    def __getitem__(self, key: str) -> str:
        raise RuntimeError("detached")

    def get(self, key: str, default: Any = None) -> Any:
        raise RuntimeError("detached")


class NoZone(datetime.tzinfo):
    def utcoffset(self, moment: datetime.datetime | None) -> NoReturn:
        raise RuntimeError("zone")

    def dst(self, moment: datetime.datetime | None) -> None:
        return None

    def tzname(self, moment: datetime.datetime | None) -> None:
        return None


class Exhausted:
    def as_dict(self) -> NoReturn:
        raise MemoryError


UNREADABLE = {
    "dataclass": (Unset(), "Unset can't be read: AttributeError: .*total"),
    "attrs": (UnsetSlot(), "UnsetSlot can't be read: AttributeError: .*total"),
    "pydantic": (Model(), "Model can't be read: .*serializer"),
    "as_dict": (Row(), "Row can't be read: TypeError: .*required"),
    "mapping": (Detached(d="a", n="b"), "RuntimeError: detached"),
    "within an object": ({"d": "a", "n": "b", "o": {"order": Unset()}}, "Unset can't be read: AttributeError: .*total"),
    "time zone": ({"d": "a", "n": "b", "t": datetime.datetime(2026, 1, 1, tzinfo=NoZone())}, "RuntimeError: zone"),
}
EACH = pytest.mark.parametrize(("record", "says"), UNREADABLE.values(), ids=UNREADABLE.keys())


@EACH
@pytest.mark.parametrize("selector", [BY_FIELDS, CONSTANT], ids=["by fields", "constant"])
def test_it_is_rejected_with_what_was_raised(selector: StreamSelector, record: Any, says: str) -> None:
    routed = Router(selector, LAX).route(record)
    assert isinstance(routed, RejectedRecord)
    assert routed.reason == UNSUPPORTED_VALUE
    with pytest.raises(RecordError, match=says):
        raise RecordError(routed.detail)
    assert routed.raw


def test_a_field_within_it_names_no_stream() -> None:
    routed = Router(StreamSelector(domain="d", namespace_field="user.n"), LAX).route({"user": Unset()})
    assert isinstance(routed, RejectedRecord)
    assert (routed.reason, routed.stream) == (UNSUPPORTED_VALUE, None)


@EACH
def test_a_box_names_it_and_keeps_the_others(record: Any, says: str) -> None:
    box = S3Box("memory://unreadable")
    with pytest.raises(RecordError, match=says):
        box.pack(record)
    with pytest.raises(RecordError, match=says):
        box.pack_many([{"i": 0}, record, {"i": 1}])
    assert box.stats.records == 1


def test_a_lack_of_memory_is_no_fault_of_the_record() -> None:
    with pytest.raises(MemoryError):
        Router(CONSTANT, LAX).route(Exhausted())
