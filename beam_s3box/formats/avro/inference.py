"""A schema out of a sample of records: every field may be null or missing, as nobody knows the records to come."""

from __future__ import annotations

import datetime
import decimal
import json
import re
import uuid
from collections.abc import Iterable
from typing import Any, Final

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.encoding import as_mapping

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_LONG: Final = range(-(2**63), 2**63)
_LOGICAL: Final = {
    "datetime": {"type": "long", "logicalType": "timestamp-micros"},
    "date": {"type": "int", "logicalType": "date"},
    "time": {"type": "long", "logicalType": "time-micros"},
    "uuid": {"type": "string", "logicalType": "uuid"},
    "huge": {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 0},
}
_PYTHON: Final = (
    (bool, "boolean"),
    (float, "double"),
    (str, "string"),
    (bytes | bytearray | memoryview, "bytes"),
    (datetime.datetime, "datetime"),
    (datetime.date, "date"),
    (datetime.time, "time"),
    (uuid.UUID, "uuid"),
    (decimal.Decimal, "string"),  # its text is exact whatever precision comes
)


def avro_schema_of(records: Iterable[Any], *, name: str = "Record") -> dict[str, Any]:
    """Return a schema that a sample of records fits: dicts, rows, dataclasses, or lines of JSON.

    Integers become `long` (beyond 64 bits `decimal(38, 0)`), integers beside fractions `double`, objects records (maps
    where a name is none of Avro's), datetimes, dates, times and UUIDs of Python logical types, Decimals strings. What
    is of several types becomes a union, which COPY does not read.

    Args:
      records: the sample.
      name: of the schema.

    Raises:
      ConfigurationError: no record, one that is no object, a type that JSON has not, or a field whose name Avro can't
        have.
    """
    seen = _Seen()
    for record in records:
        value = _parse(record) if isinstance(record, str | bytes) else record
        if as_mapping(value) is None:
            raise ConfigurationError(f"records holds a {type(value).__name__}, and a record is an object")
        seen.add(value)
    if not seen.fields:
        raise ConfigurationError("records holds no field to infer a schema from: give more records, or a schema")
    bad = [field for field in seen.fields if not _NAME.fullmatch(field)]
    if bad:
        raise ConfigurationError(
            f"records have the field {bad[0]!r}; a name in Avro is letters, digits and _, and begins with no digit: "
            "rename it before the write"
        )
    return seen.record(name)


class _Seen:
    """What was seen at one place of the records."""

    def __init__(self) -> None:
        self.kinds: dict[str, None] = {}
        self.fields: dict[str, _Seen] = {}
        self._items: _Seen | None = None

    def add(self, value: Any) -> None:
        """Note a value."""
        if value is None:
            return
        fields = as_mapping(value)
        if fields is not None:
            self.kinds["object"] = None
            for name, item in fields.items():
                self.fields.setdefault(name, _Seen()).add(item)
        elif isinstance(value, list | tuple):
            self.kinds["array"] = None
            self._items = self._items or _Seen()
            for item in value:
                self._items.add(item)
        else:
            self.kinds[_kind(value)] = None

    def record(self, name: str) -> dict[str, Any]:
        """Return the schema of an object with these fields."""
        fields = [
            {"name": field, "type": seen.nullable(f"{name}_{field}"), "default": None}
            for field, seen in self.fields.items()
        ]
        return {"type": "record", "name": name, "fields": fields}

    def nullable(self, name: str) -> list[Any]:
        """Return a union of null and what was seen; where nothing was, of null and string."""
        kinds = list(self.kinds)
        if "huge" in kinds and "long" in kinds:
            kinds.remove("long")
        if "double" in kinds:
            kinds = [kind for kind in kinds if kind not in ("long", "huge")]
        return ["null", *(self._type(kind, name) for kind in kinds or ["string"])]

    def _type(self, kind: str, name: str) -> Any:
        if kind == "array":
            assert self._items is not None  # noqa: S101
            return {"type": "array", "items": self._items.nullable(f"{name}_item")}
        if kind == "object" and all(map(_NAME.fullmatch, self.fields)) and self.fields:
            return self.record(name)
        if kind == "object":
            values = _Seen()
            for seen in self.fields.values():
                values.merge(seen)
            return {"type": "map", "values": values.nullable(f"{name}_value")}
        return _LOGICAL.get(kind, kind)

    def merge(self, other: _Seen) -> None:
        """Note all that another place saw."""
        self.kinds.update(other.kinds)
        for name, seen in other.fields.items():
            self.fields.setdefault(name, _Seen()).merge(seen)
        if other._items is not None:
            self._items = self._items or _Seen()
            self._items.merge(other._items)


def _kind(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return "long" if value in _LONG else "huge"
    for types, kind in _PYTHON:
        if isinstance(value, types):
            return kind
    raise ConfigurationError(f"records hold a {type(value).__name__}, whose type in Avro is not known: give a schema")


def _parse(line: str | bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise ConfigurationError(f"records holds text that is not JSON: {exc}") from exc
