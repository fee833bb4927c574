"""Records and values of other libraries; none is imported here, as its objects come only where it is loaded."""

from __future__ import annotations

import datetime
import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import orjson

from beam_s3box.records.moments import timedelta_text

NULL: Final = orjson.Fragment(b"null")
"""What a value that means null is replaced by, as None means that there is no replacement."""

_RECORD_FIXES: Final[Mapping[tuple[str, str], str]] = {
    ("pandas", "DataFrame"): "give its rows: df.to_dict('records')",
    ("polars", "DataFrame"): "give its rows: df.to_dicts()",
    ("pyarrow", "Table"): "give its rows: table.to_pylist()",
    ("pyarrow", "RecordBatch"): "give its rows: batch.to_pylist()",
    ("builtins", "list"): "give each of its items as an element",
    ("builtins", "set"): "give each of its items as an element",
    ("builtins", "generator"): "use FlatMap, so that each item is an element",
}
_VALUE_FIXES: Final[Mapping[tuple[str, str], str]] = {
    ("builtins", "set"): "a set has no order, give sorted(...) of it",
    ("builtins", "frozenset"): "a set has no order, give sorted(...) of it",
    ("builtins", "complex"): "give its real and imag",
    ("builtins", "generator"): "give list(...) of it",
    ("builtins", "range"): "give list(...) of it",
    ("pandas", "Series"): "give series.tolist(), or series.to_dict()",
    ("pandas", "DataFrame"): "give df.to_dict('records')",
    ("polars", "Series"): "give series.to_list()",
    ("polars", "DataFrame"): "give df.to_dicts()",
}


def foreign_fields(value: Any) -> Mapping[str, Any] | None:
    """Return the fields of an object of another library, None for one that has none or is not known.

    pydantic: as `model_dump()`; msgspec: by the names that it encodes, tag included; attrs: its attributes; protobuf:
    by the names of the .proto file, see `_message_fields`; pandas Series, as `df.iterrows()` gives: by its labels.
    """
    kind = type(value)
    if isinstance(value, msgspec.Struct):
        return _struct_fields(value)
    if hasattr(kind, "__attrs_attrs__"):
        return {attribute.name: getattr(value, attribute.name) for attribute in kind.__attrs_attrs__}
    if _is_a(value, "pydantic", "BaseModel"):
        dumped = value.model_dump() if hasattr(value, "model_dump") else value.dict()
        return dumped if isinstance(dumped, Mapping) else None
    if _is_a(value, "google.protobuf.message", "Message"):
        return None if _is_well_known(value) else _message_fields(value)
    if _is_a(value, "pandas", "Series"):
        return dict(value.to_dict())
    return None


def foreign_value(value: Any) -> Any:
    """Return what a value of another library is written as, None if it is not known.

    timedelta: ISO 8601, such as `P1DT2.5S`; pandas' NA: null; protobuf's own types: as in protobuf's JSON.
    """
    if isinstance(value, datetime.timedelta):
        return NULL if value != value else timedelta_text(_without_nanoseconds(value))
    if type(value).__name__ == "NAType" and _kind_of(value)[0] == "pandas":
        return NULL
    if _is_a(value, "google.protobuf.message", "Message") and _is_well_known(value):
        return _well_known(value)
    return None


def record_fix(value: Any) -> str:
    """Return why something is no record, and how to make records of it."""
    fix = _RECORD_FIXES.get(_kind_of(value))
    return f"not an object: {fix}" if fix else "which has no fields that are known: give a dict or a dataclass"


def value_fix(value: Any) -> str:
    """Return what to write in place of a value that a record can't hold; empty for another value."""
    return _VALUE_FIXES.get(_kind_of(value), "")


def _kind_of(value: Any) -> tuple[str, str]:
    return (type(value).__module__ or "").partition(".")[0], type(value).__name__


def _is_a(value: Any, module: str, name: str) -> bool:
    loaded = getattr(sys.modules.get(module), name, None)
    return isinstance(loaded, type) and isinstance(value, loaded)


def _struct_fields(value: msgspec.Struct) -> dict[str, Any]:
    config = value.__struct_config__
    fields: dict[str, Any] = {} if config.tag is None else {str(config.tag_field): config.tag}
    for name, attribute in zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True):
        item = getattr(value, attribute)
        if item is not msgspec.UNSET:
            fields[name] = item
    return fields


def _message_fields(message: Any) -> dict[str, Any]:
    """Return the fields of a message of protobuf.

    Fields that know whether they are set are null if they are not, all others have their default. Integers are numbers,
    an enum is the name of its value, or the number of one without a name, a map is an object.
    """
    return {field.name: _field_value(message, field) for field in message.DESCRIPTOR.fields}


def _field_value(message: Any, field: Any) -> Any:
    if field.has_presence and not message.HasField(field.name):
        return None
    value, convert = getattr(message, field.name), _converter(field)
    if not _is_repeated(field):
        return convert(value)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        convert = _converter(field.message_type.fields_by_name["value"])
        return {key: convert(value[key]) for key in value}
    return [convert(item) for item in value]


def _is_repeated(field: Any) -> bool:
    # newer versions warn of the older name
    repeated = getattr(field, "is_repeated", None)
    return bool(field.label == field.LABEL_REPEATED if repeated is None else repeated)


def _converter(field: Any) -> Callable[[Any], Any]:
    if field.enum_type is None:
        return _itself
    names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
    return lambda number: names.get(number, number)


def _itself(value: Any) -> Any:
    return value


def _is_well_known(message: Any) -> bool:
    return str(message.DESCRIPTOR.full_name).startswith("google.protobuf.")


def _well_known(message: Any) -> Any:
    name = message.DESCRIPTOR.full_name
    if name == "google.protobuf.Duration":
        return timedelta_text(message.ToTimedelta())
    if name == "google.protobuf.Timestamp":
        return message.ToDatetime()
    if name.endswith("Value") and "value" in message.DESCRIPTOR.fields_by_name:
        return message.value
    json_format = importlib.import_module("google.protobuf.json_format")
    converted = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return NULL if converted is None else converted


def _without_nanoseconds(value: datetime.timedelta) -> datetime.timedelta:
    to_python = getattr(value, "to_pytimedelta", None)  # pandas' Timedelta carries nanoseconds
    return to_python() if callable(to_python) else value
