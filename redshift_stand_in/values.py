"""JSON values whose numbers keep their text."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from redshift_stand_in.errors import RowError

MAX_DEPTH = 1_000
MAX_SUPER_STRING = 65_535
MAX_SUPER = 16_000_000


class Number(str):
    """A number of JSON, as it was written."""

    __slots__ = ()


class Object(dict[str, Any]):
    """An object of JSON.

    Attributes:
      repeated: keys that it has more than once; the last value counts.
    """

    repeated: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, Any]]) -> Object:
    found = Object(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        found.repeated = tuple({key for key in keys if keys.count(key) > 1})
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=Number, parse_int=Number, parse_constant=_no_constant, strict=True
)


def as_json(value: Any) -> str:
    """Return the text of a value, without spaces."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{as_json(item)}" for key, item in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(map(as_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def check_super(value: Any, column: str, depth: int = 1) -> None:
    """Raise RowError for values that a SUPER column can't hold; dg:limitations-super, dg:super-configurations."""
    if depth > MAX_DEPTH:
        raise RowError(1224, f"The nesting depth of SUPER exceeds {MAX_DEPTH}", column)
    if isinstance(value, Object) and value.repeated:
        raise RowError(1224, f"Duplicate attribute {value.repeated[0]} in SUPER object", column)
    if isinstance(value, str) and len(value.encode(errors="replace")) > MAX_SUPER_STRING:
        raise RowError(1224, f"String value exceeds the max size of {MAX_SUPER_STRING} bytes", column)
    if isinstance(value, dict):
        for key, item in value.items():
            check_super(key, column, depth)
            check_super(item, column, depth + 1)
    elif isinstance(value, list):
        for item in value:
            check_super(item, column, depth + 1)
