"""Columns for the records of an Avro file, from the schema in its header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from beam_s3box.errors import ConfigurationError
from beam_s3box.redshift.sql.columns import Column
from beam_s3box.redshift.sql.quoting import folded
from beam_s3box.redshift.sql.types import MAX_VARCHAR_BYTES

_MAGIC: Final = b"Obj\x01"
LONGEST_TEXT: Final = f"VARCHAR({MAX_VARCHAR_BYTES})"
_TYPES: Final = {
    "boolean": "BOOLEAN",
    "int": "INTEGER",
    "long": "BIGINT",
    "float": "REAL",
    "double": "DOUBLE PRECISION",
    "string": LONGEST_TEXT,
    "enum": LONGEST_TEXT,
    "bytes": LONGEST_TEXT,
    "fixed": LONGEST_TEXT,
    "null": LONGEST_TEXT,
    "record": "SUPER",
    "array": "SUPER",
    "map": "SUPER",
}
"""COPY loads nested values as JSON, bytes and enums as text. Source: "Data format parameters", AVRO."""


def avro_columns(url: str, body: bytes) -> list[Column]:
    """Return a column for each field of the file's records.

    A schema has no lengths: texts get the longest VARCHAR. Dates and times are texts in files that COPY loads, and so
    they are here; for columns of times create the table yourself, COPY converts them.

    Raises:
      ConfigurationError: not the schema of a record, or fields whose names are one column to Redshift.
    """
    schema = _schema_of(url, body)
    named: dict[str, str] = {}
    columns: dict[str, Column] = {}
    for field in schema["fields"]:
        name = folded(field["name"])
        if name in columns:
            raise ConfigurationError(
                f"{url} has the fields {columns[name].key!r} and {field['name']!r}, which are one column to Redshift: "
                "rename one, or exclude it (--redshift_exclude)"
            )
        columns[name] = Column(name, _TYPES[_kind(field["type"], named)], field["name"])
    return list(columns.values())


def _schema_of(url: str, body: bytes) -> Mapping[str, Any]:
    try:
        schema = orjson.loads(_header_of(body)["avro.schema"])
    except (LookupError, ValueError) as exc:
        raise ConfigurationError(f"{url} has no valid Avro header: check that it is Avro, and not truncated") from exc
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise ConfigurationError(f"{url} has a schema that is not a record: COPY loads only records")
    return schema


def _kind(node: Any, named: dict[str, str]) -> str:
    """Return the kind of a type as a key of `_TYPES`; of a union, that of its only type besides null."""
    if isinstance(node, list):
        kinds = [_kind(branch, named) for branch in node if branch != "null"]
        return kinds[0] if len(kinds) == 1 else "record" if kinds else "null"
    if isinstance(node, dict):
        kind = _kind(node["type"], named)
        if "name" in node:
            named[node["name"]] = kind
            named[f"{node.get('namespace', '')}.{node['name']}"] = kind
        return kind
    return node if node in _TYPES else named.get(node) or named.get(node.rpartition(".")[2], "record")


def _header_of(body: bytes) -> dict[str, bytes]:
    """Return the metadata of a file. Source: "Object Container Files" of Avro's specification."""
    if not body.startswith(_MAGIC):
        raise ValueError("another format")
    entries: dict[str, bytes] = {}
    at = len(_MAGIC)
    while True:
        count, at = _long(body, at)
        if count < 0:
            count = -count
            _, at = _long(body, at)
        if count == 0:
            return entries
        for _ in range(count):
            name, at = _bytes(body, at)
            entries[name.decode()], at = _bytes(body, at)


def _bytes(body: bytes, at: int) -> tuple[bytes, int]:
    size, at = _long(body, at)
    if size < 0 or at + size > len(body):
        raise ValueError("cut off")
    return body[at : at + size], at + size


def _long(body: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = body[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not byte & 0x80:
            return (value >> 1) ^ -(value & 1), at
