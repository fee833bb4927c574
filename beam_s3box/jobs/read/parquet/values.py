"""Values of Arrow's arrays as JSON has them.

Arrow's own way to Python's values asks pandas for nanoseconds, fails the whole table on one date beyond Python's years
or one text that is not UTF-8, and has lists of pairs for maps. Here each value is right, or an `Unfit` of its row.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from beam_s3box.records.encoding import INVALID_UTF8
from beam_s3box.records.moments import date_text, duration_text, time_text, timestamp_text
from beam_s3box.records.unfit import Unfit


def values_of(array: Any, name: str) -> list[Any]:
    """Return an array's values as JSON has them; bytes and Decimal are left to `encode_record`.

    Args:
      array: of Arrow.
      name: of the column, with dots between the names of nested ones.
    """
    kind = array.type
    if pa.types.is_dictionary(kind):
        return values_of(array.dictionary_decode(), name)
    if pa.types.is_run_end_encoded(kind):
        return values_of(pc.run_end_decode(array), name)
    if isinstance(kind, pa.BaseExtensionType) and not isinstance(kind, pa.UuidType):
        return values_of(array.storage, name)
    if pa.types.is_struct(kind):
        return _structs(array, name)
    if pa.types.is_map(kind):
        return _maps(array, name)
    if pa.types.is_nested(kind) and not pa.types.is_union(kind):
        return _lists(array, name)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _texts(array, name)
    to_text = _counted(kind, name)
    if to_text is None:
        values: list[Any] = array.to_pylist()
        return values
    integers = pa.int32() if kind.bit_width == 32 else pa.int64()
    return [None if count is None else to_text(count) for count in array.cast(integers).to_pylist()]


def _counted(kind: Any, name: str) -> Callable[[int], str | Unfit] | None:
    """Return what makes text of the counts that a type of times is stored as, None for other types."""
    if pa.types.is_date32(kind):
        return lambda days: date_text(days, name)
    if pa.types.is_date64(kind):
        return lambda millis: date_text(millis // 86_400_000, name)
    if pa.types.is_timestamp(kind):
        return lambda count: timestamp_text(count, kind.unit, name)
    if pa.types.is_time(kind):
        return lambda count: time_text(count, kind.unit, name)
    if pa.types.is_duration(kind):
        return lambda count: duration_text(count, kind.unit, name)
    return None


def _texts(array: Any, name: str) -> list[Any]:
    try:
        values: list[Any] = array.to_pylist()
    except UnicodeDecodeError:
        binary = pa.binary_view() if pa.types.is_string_view(array.type) else pa.large_binary()
        return [None if value is None else _text(value, name) for value in array.cast(binary).to_pylist()]
    return values


def _text(value: bytes, name: str) -> str | Unfit:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as exc:
        shown = value.decode("utf-8", "backslashreplace")
        return Unfit(f"the text in {name!r} is not valid UTF-8: {exc.reason} at byte {exc.start}", shown, INVALID_UTF8)


def _structs(array: Any, name: str) -> list[Any]:
    names = [field.name for field in array.type]
    if not names:
        return [{} if valid else None for valid in array.is_valid().to_pylist()]
    columns = [values_of(child, f"{name}.{field}") for field, child in zip(names, array.flatten(), strict=True)]
    valid = array.is_valid().to_pylist() if array.null_count else itertools.repeat(True)
    return [
        dict(zip(names, values, strict=True)) if is_valid else None
        for is_valid, values in zip(valid, zip(*columns, strict=True), strict=False)
    ]


def _lists(array: Any, name: str) -> list[Any]:
    values = iter(values_of(array.flatten(), name))
    return [
        None if length is None else list(itertools.islice(values, length))
        for length in pc.list_value_length(array).to_pylist()
    ]


def _maps(array: Any, name: str) -> list[Any]:
    offsets = array.offsets.to_pylist()
    first, length = offsets[0], offsets[-1] - offsets[0]
    keys = values_of(array.keys.slice(first, length), f"{name} (a key)")
    items = values_of(array.items.slice(first, length), name)
    to_value = _object if _is_text(array.type.key_type) else _pairs
    return [
        to_value(keys[start - first : end - first], items[start - first : end - first], name) if valid else None
        for valid, (start, end) in zip(array.is_valid().to_pylist(), itertools.pairwise(offsets), strict=True)
    ]


def _is_text(kind: Any) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _object(keys: list[Any], items: list[Any], name: str) -> Any:
    value = dict(zip(keys, items, strict=True))
    if len(value) == len(keys):
        return value
    return Unfit(f"the map in {name!r} has two values under one key", _pairs(keys, items, name))


def _pairs(keys: list[Any], items: list[Any], name: str) -> list[Any]:
    return [list(pair) for pair in zip(keys, items, strict=True)]
