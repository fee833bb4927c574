"""Results of the Data API: each value in a field of its kind."""

from __future__ import annotations

from typing import Any

_TYPES = {
    16: "bool", 20: "int8", 21: "int2", 23: "int4", 25: "text", 700: "float4", 701: "float8", 1042: "bpchar",
    1043: "varchar", 1082: "date", 1114: "timestamp", 1184: "timestamptz", 1700: "numeric", 4000: "super", 26: "oid",
}  # fmt: skip
_LONG = (20, 21, 23, 26)
_DOUBLE = (700, 701)


def column_metadata(label: str, oid: int) -> dict[str, Any]:
    """Describe a column."""
    return {"name": label, "label": label, "typeName": _TYPES.get(oid, "varchar"), "nullable": 1}


def field(value: str | None, oid: int) -> dict[str, Any]:
    """Return a value: a number of a fixed size as a number, everything else, also a decimal, as text."""
    if value is None:
        return {"isNull": True}
    if oid in _LONG:
        return {"longValue": int(value)}
    if oid in _DOUBLE:
        return {"doubleValue": float(value)}
    if oid == 16:
        return {"booleanValue": value == "t"}
    return {"stringValue": value}
