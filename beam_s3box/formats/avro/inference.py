"""Infers a schema from a sample of records. Every field is optional, as later records may not have it."""

from __future__ import annotations

import datetime
import decimal
import json
import re
import uuid
from collections.abc import Iterable
from typing import Any, Final

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.json_values import as_mapping

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
    (decimal.Decimal, "string"),  # its text is exact for any precision
)


def avro_schema_of(records: Iterable[Any], *, name: str = "Record") -> dict[str, Any]:
    """Return a schema that fits a sample of records: dicts, rows, dataclasses, or lines of JSON.

    Integers become `long` (over 64 bits `decimal(38, 0)`), fields with integers and fractions `double`, objects records
    (or maps, if a name is not allowed in Avro), Python's datetimes, dates, times and UUIDs logical types, and Decimals
    strings. Fields with several types become unions, which COPY does not support.

    Args:
      records: the sample.
      name: the name of the schema.

    Raises:
      ConfigurationError: there are no records, one is not an object, a type has no JSON form, or the name of a field
        is not allowed in Avro.
    """
    seen = _Seen()
    for record in records:
        value = _parse(record) if isinstance(record, str | bytes) else record
        if as_mapping(value) is None:
            raise ConfigurationError(f"records holds a {type(value).__name__}, and a record must be an object")
        seen.add(value)
    if not seen.fields:
        raise ConfigurationError("records holds no field to infer a schema from: give more records, or a schema")
    bad = [field for field in seen.fields if not _NAME.fullmatch(field)]
    if bad:
        raise ConfigurationError(
            f"records have the field {bad[0]!r}; a name in Avro has letters, digits and _, and no digit at the start: "
            "rename it before the write"
        )
    return seen.record(name)


class _Seen:
    """The types that were seen at one path of the records."""

    def __init__(self) -> None:
        self.kinds: dict[str, None] = {}
        self.fields: dict[str, _Seen] = {}
        self._items: _Seen | None = None

    def add(self, value: Any) -> None:
        """Add a value."""
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
        """Return the union of null and the types that were seen, or of null and string if there were none."""
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
        """Add all types of another path."""
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
