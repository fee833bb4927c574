"""An Avro schema without its logical types, and what makes JSON of the plain values that are read with it.

fastavro makes dates and decimals while it reads, and fails the block on one beyond Python's years. Read as the numbers
that are in the file they are made here, one by one: each is right, or an `Unfit` of its row.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeAlias

from beam_s3box.jobs.read.names import check_names
from beam_s3box.records.moments import date_text, time_text, timestamp_text

Convert: TypeAlias = Callable[[Any], Any]
"""From a value as it is read to one as JSON has it."""

_BRANCH: Final = "s3box_branch_"
"""Begins the name of a record that is put around a branch of a union; in binary a record of one field is that field."""

_UNITS: Final = {"millis": "ms", "micros": "us", "nanos": "ns"}
_NAMED: Final = ("record", "error", "enum", "fixed")


class PlainSchema(NamedTuple):
    """A schema to read with.

    Attributes:
      schema: without logical types; its binary form is the same.
      convert: makes JSON of what is read; None where it is that already.
    """

    schema: Any
    convert: Convert | None


def plain_schema(schema: Any) -> PlainSchema:
    """Return a schema without its logical types.

    Args:
      schema: as `json.loads` gives it.
    """
    if not _has_logical_types(schema):
        return PlainSchema(schema, None)
    return PlainSchema(*_Compiler().compile(schema, "", ""))


def _has_logical_types(schema: Any) -> bool:
    if isinstance(schema, list):
        return any(map(_has_logical_types, schema))
    if not isinstance(schema, dict):
        return False
    return "logicalType" in schema or any(map(_has_logical_types, schema.values()))


def check_fields(schema: Any, path: str, inside: str = "") -> None:
    """Raise ConfigurationError if two fields of a record have one name.

    Args:
      schema: as `json.loads` gives it, or a part of one.
      path: of the file.
      inside: what stands before the names of its fields, as `column.`.
    """
    if isinstance(schema, list):
        for branch in schema:
            check_fields(branch, path, inside)
    elif isinstance(schema, dict):
        fields = schema.get("fields", ())
        check_names([field["name"] for field in fields], path, inside)
        for field in fields:
            check_fields(field["type"], path, f"{inside}{field['name']}.")
        for part in ("type", "items", "values"):
            check_fields(schema.get(part), path, inside)


class _Compiler:
    def __init__(self) -> None:
        self._named: dict[str, Convert | None] = {}
        self._branches = 0

    def compile(self, schema: Any, namespace: str, name: str) -> tuple[Any, Convert | None]:
        """Return a schema without logical types, and what converts its values.

        Args:
          schema: or a part of one.
          namespace: around it.
          name: of the field, with dots between the names of nested ones.
        """
        if isinstance(schema, list):
            return self._union(schema, namespace, name)
        if isinstance(schema, str):
            return schema, self._reference(schema, namespace)
        kind = schema.get("type")
        if isinstance(kind, list | dict):
            return self.compile(kind, namespace, name)
        if kind in _NAMED:
            return self._definition(schema, namespace, name)
        if kind == "array":
            items, convert = self.compile(schema["items"], namespace, name)
            return {"type": "array", "items": items}, convert and _each_item(convert)
        if kind == "map":
            values, convert = self.compile(schema["values"], namespace, name)
            return {"type": "map", "values": values}, convert and _each_value(convert)
        return kind, _logical(schema, name) or self._reference(kind, namespace)

    def _reference(self, name: str, namespace: str) -> Convert | None:
        full = _full_name(name, namespace)
        if full not in self._named:
            return None
        # a type may refer to itself while it is being defined
        return lambda value: convert(value) if (convert := self._named[full]) else value

    def _definition(self, schema: Any, namespace: str, name: str) -> tuple[Any, Convert | None]:
        full = _full_name(schema["name"], schema.get("namespace", namespace))
        self._named[full] = None
        plain = {key: value for key, value in schema.items() if key not in ("logicalType", "aliases", "default")}
        convert = _logical(schema, name)
        if "fields" in schema:
            inner = full.rpartition(".")[0]
            fields, converts = [], {}
            for field in schema["fields"]:
                part = f"{name}.{field['name']}" if name else field["name"]
                kind, field_convert = self.compile(field["type"], inner, part)
                fields.append({"name": field["name"], "type": kind})
                if field_convert:
                    converts[field["name"]] = field_convert
            plain["fields"] = fields
            convert = _each_field(converts) if converts else None
        self._named[full] = convert
        return plain, convert

    def _union(self, schema: list[Any], namespace: str, name: str) -> tuple[Any, Convert | None]:
        compiled = [self.compile(branch, namespace, name) for branch in schema]
        if not any(convert for _, convert in compiled):
            return [plain for plain, _ in compiled], None
        if len(schema) == 2 and "null" in schema:
            only = next(convert for _, convert in compiled if convert)
            return [plain for plain, _ in compiled], lambda value: None if value is None else only(value)
        branches, converts = [], {}
        for plain, convert in compiled:
            if convert is None:
                branches.append(plain)
                continue
            # what is read does not distinguish an int from a long, nor one record from another
            self._branches += 1
            wrapped = f"{_BRANCH}{self._branches}"
            branches.append({"type": "record", "name": wrapped, "fields": [{"name": wrapped, "type": plain}]})
            converts[wrapped] = convert
        return branches, _unwrap(converts)


def _full_name(name: str, namespace: str | None) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"


def _each_item(convert: Convert) -> Convert:
    return lambda value: [convert(item) for item in value]


def _each_value(convert: Convert) -> Convert:
    return lambda value: {key: convert(item) for key, item in value.items()}


def _each_field(converts: dict[str, Convert]) -> Convert:
    def convert(value: dict[str, Any]) -> dict[str, Any]:
        return value | {name: convert_field(value[name]) for name, convert_field in converts.items()}

    return convert


def _unwrap(converts: dict[str, Convert]) -> Convert:
    def convert(value: Any) -> Any:
        if isinstance(value, dict) and len(value) == 1:
            ((name, inner),) = value.items()
            if name in converts:
                return converts[name](inner)
        return value

    return convert


def _logical(schema: dict[str, Any], name: str) -> Convert | None:
    """Return what converts values of a logical type, None for other types and for those that nobody knows."""
    kind, logical = schema.get("type"), schema.get("logicalType")
    if not isinstance(logical, str):
        return None
    base, _, unit = logical.removeprefix("local-").rpartition("-")
    if logical == "date" and kind == "int":
        return lambda days: date_text(days, name)
    if base == "timestamp" and kind == "long" and unit in _UNITS:
        return lambda count: timestamp_text(count, _UNITS[unit], name)
    if base == "time" and (unit, kind) in (("millis", "int"), ("micros", "long")):
        return lambda count: time_text(count, _UNITS[unit], name)
    if logical == "decimal" and kind in ("bytes", "fixed"):
        scale = schema.get("scale", 0)
        return lambda data: Decimal(f"{int.from_bytes(data, 'big', signed=True)}E{-scale}")
    if logical == "uuid" and kind == "fixed" and schema.get("size") == 16:
        return lambda data: str(uuid.UUID(bytes=bytes(data)))
    if logical == "duration" and kind == "fixed" and schema.get("size") == 12:
        return _duration
    return None


def _duration(data: bytes) -> str:
    """Return months, days and milliseconds as ISO 8601."""
    months, days, millis = (int.from_bytes(data[at : at + 4], "little") for at in (0, 4, 8))
    seconds = f"{millis // 1_000}.{millis % 1_000:03}".rstrip("0").rstrip(".")
    return f"P{months}M{days}DT{seconds}S"
