"""Values of records that Python has and JSON does not have, and what is written for them."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import math
import uuid
from collections.abc import Mapping
from typing import Any, Final

import orjson

from beam_s3box.errors import RecordError
from beam_s3box.records.foreign import foreign_fields, foreign_value, value_fix
from beam_s3box.records.moments import timedelta_text
from beam_s3box.records.unfit import Unfit

_MAX_EXPONENT: Final = 6_176
"""The maximum exponent of decimal128, the largest decimal type in use. Source: IEEE 754."""

_NUMPY_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_UTC = datetime.UTC


def as_mapping(value: Any) -> Mapping[str, Any] | None:
    """Return the fields of a dict, dataclass, NamedTuple, Beam row or one of `foreign_fields`; else None.

    Raises:
      RecordError: the value has fields that can't be read, as one of a dataclass that was never set.
    """
    if isinstance(value, Mapping):
        return value
    try:
        if isinstance(value, tuple) and hasattr(value, "_asdict"):
            return value._asdict()  # type: ignore[no-any-return]
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        if isinstance(value, type):
            return None
        as_dict = getattr(value, "as_dict", None)  # beam.Row, recognized without importing Beam
        return as_dict() if callable(as_dict) else foreign_fields(value)
    except MemoryError:
        raise
    except Exception as exc:
        raise unreadable(value, exc) from exc


def unreadable(value: Any, error: Exception) -> RecordError:
    """Return what a record is rejected with if an object in it raised an error when its fields were read."""
    return Unfit(f"a {type(value).__name__} can't be read: {type(error).__name__}: {error}", value).error()


def json_default(value: Any) -> Any:
    """Return a value that orjson can write, for one that it can't."""
    if isinstance(value, Unfit):
        raise value.error()
    if isinstance(value, datetime.datetime):
        return _utc_text(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return decimal_text(value) if value.is_finite() else None
    if isinstance(value, bytes | bytearray | memoryview):
        return value.hex()
    to_datetime = getattr(value, "to_utc_datetime", None)  # Beam's Timestamp, recognized without importing Beam
    if callable(to_datetime):
        return _utc_text(to_datetime())
    foreign = foreign_value(value)
    if foreign is not None:
        return foreign
    fix = value_fix(value)
    fields = None if fix else as_mapping(value)
    if fields is not None:
        return dict(fields)
    if type(value).__module__ == "numpy":
        return orjson.Fragment(_numpy_text(value))
    raise TypeError(f"{type(value).__name__} has no JSON form: {fix or 'convert it before the write'}")


def whole_number(text: str) -> int | decimal.Decimal:
    """Return a whole number of JSON: a Decimal if Python reads no int of so many digits."""
    try:
        return int(text)
    except ValueError:
        return decimal.Decimal(text)


def decimal_text(value: decimal.Decimal) -> str:
    """Return the exact text of a finite Decimal: `0.0000000000` and not `0E-10`, which some readers don't support.

    Exponents that exceed every database type are kept, as their zeros would fill the memory: `1E+1000000`.
    """
    return format(value, "f") if abs(value.as_tuple().exponent) <= _MAX_EXPONENT else str(value)  # type: ignore[arg-type]


def _numpy_text(value: Any) -> bytes:
    """Return the JSON text of a numpy scalar or array."""
    value = value[()]  # an array without dimensions becomes its one value
    if value.shape == () and value != value:
        return b"null"  # NaN, or NaT, which orjson writes as a date
    if value.shape and value.dtype.kind in "mM":
        return b"[" + b",".join(map(_numpy_text, value)) + b"]"
    if value.dtype.kind == "m":
        return orjson.dumps(_timedelta64_text(value))
    if value.shape:
        value = value.astype(value.dtype.newbyteorder("="), order="C")  # the only memory layout that orjson supports
    return orjson.dumps(value, None, _NUMPY_OPTIONS)


def _timedelta64_text(value: Any) -> str:
    plain = value.astype("m8[us]").item()
    if not isinstance(plain, datetime.timedelta):
        raise TypeError(f"{value!r} is longer than a duration of Python's can be")
    return timedelta_text(plain)


def _utc_text(value: datetime.datetime) -> str | None:
    if value != value:  # pandas' NaT
        return None
    to_python = getattr(value, "to_pydatetime", None)  # pandas' Timestamp carries nanoseconds
    if callable(to_python):
        value = to_python(warn=False)
    if value.tzinfo is not None:
        try:
            value = value.astimezone(_UTC).replace(tzinfo=None)
        except OverflowError as exc:
            raise TypeError(f"{value.isoformat()} has no UTC form: {exc}") from exc
    return value.isoformat() + "Z"


def plain_tree(value: Any) -> Any:
    """Return a value as dicts, lists, texts, numbers, booleans and None.

    Raises:
      TypeError: a value or a key has no JSON form.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, enum.Enum):
        return plain_tree(value.value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return str(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Mapping):
        fields = {_key_text(key): plain_tree(item) for key, item in value.items()}
        if len(fields) < len(value):
            raise TypeError("two keys of a mapping have the same text")
        return fields
    if isinstance(value, list) or type(value) is tuple:
        return [plain_tree(item) for item in value]
    if isinstance(value, orjson.Fragment):
        return json.loads(orjson.dumps(value))
    if type(value).__module__ == "numpy" and not isinstance(value, bytes):
        return orjson.loads(_numpy_text(value))
    return plain_tree(json_default(value))


def _key_text(key: Any) -> str:
    if isinstance(key, enum.Enum):
        return _key_text(key.value)
    if isinstance(key, str):
        return str(key)
    if isinstance(key, bool) or key is None:
        return json.dumps(key)
    if isinstance(key, int | float):
        return str(key)
    text = str(key) if isinstance(key, uuid.UUID) else json_default(key)
    if not isinstance(text, str):
        raise TypeError(f"a key of type {type(key).__name__} has no JSON form")
    return text
