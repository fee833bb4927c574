"""Encodes a record as a row of Avro: checked, converted and written in one walk over the schema.

The walk is compiled once per schema. fastavro is not used, because it accepts values that do not fit: it writes
"false" as true, true as 1, and a long as an int; and its validation of ten nullable fields takes about 40 times as long
as this walk. The output is the same as that of fastavro, byte for byte; tests compare them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from beam_s3box.formats.avro.checks import kind_of
from beam_s3box.formats.avro.types import (
    PRIMITIVES,
    SHOWN_CHARACTERS,
    STORED,
    ReadBytes,
    WriteValue,
    converted,
    long_bytes,
    of_hexadecimal,
    of_latin1,
    write_array,
    write_bytes,
    write_enum,
    write_fixed,
    write_map,
    write_nullable,
    write_string,
)
from beam_s3box.formats.avro.values import Logical, UnfitError, logical_of, unfit

_SHOWN_FIELDS: Final = 3
_MISSING: Final = object()
_EXACT_BELOW: Final = {"float": 1 << 24, "double": 1 << 53}
"""The limit below which a type represents each integer exactly."""


def compile_rows(schema: Mapping[str, Any], *, text: bool, drop_unknown: bool) -> WriteValue:
    """Return the function that writes the records of a schema.

    Args:
      schema: the parsed schema, with full names.
      text: whether logical types are written as text.
      drop_unknown: whether fields that are not in the schema are dropped; otherwise they make a record invalid.

    Raises:
      UnfitError: a default does not fit its field.
    """
    return _Compiler(text, drop_unknown).compile(schema, of_hexadecimal)


class _Compiler:
    """Compiles the nodes of one schema.

    `read_bytes` depends on whether a node writes values of records or a default of the schema, as their bytes differ.
    """

    def __init__(self, text: bool, drop_unknown: bool) -> None:
        self._text = text
        self._drop_unknown = drop_unknown
        self._nodes: dict[str, Mapping[str, Any]] = {}
        self._named: dict[tuple[str, Any], WriteValue] = {}

    def compile(self, node: Any, read_bytes: ReadBytes) -> WriteValue:
        """Return the function that writes the values of a node."""
        if isinstance(node, list):
            return self._union(node, read_bytes)
        if isinstance(node, str) and node not in self._nodes:
            return write_bytes(read_bytes) if node == "bytes" else PRIMITIVES[node]
        if isinstance(node, str):
            return self._by_name(node, read_bytes)
        if "name" in node:
            self._nodes[node["name"]] = node
            return self._by_name(node["name"], read_bytes)
        return self._plain(node, read_bytes)

    def _by_name(self, name: str, read_bytes: ReadBytes) -> WriteValue:
        """Return the function that writes the values of a named type, which may be recursive."""
        key = (name, read_bytes)
        if key not in self._named:
            named = self._named
            self._named[key] = lambda value, out: named[key](value, out)
            self._named[key] = self._plain(self._nodes[name], read_bytes)
        return self._named[key]

    def _plain(self, node: Mapping[str, Any], read_bytes: ReadBytes) -> WriteValue:
        kind = node["type"]
        logical = logical_of(node)
        if logical is not None:
            return self._logical(logical, kind, read_bytes)
        if kind in ("record", "error"):
            return self._record(node["fields"], read_bytes)
        if kind == "array":
            return write_array(self.compile(node["items"], read_bytes))
        if kind == "map":
            return write_map(self.compile(node["values"], read_bytes))
        if kind == "enum":
            return write_enum(node["symbols"])
        if kind == "fixed":
            return write_fixed(node["size"], read_bytes)
        return self.compile(kind, read_bytes)

    def _logical(self, logical: Logical, kind: str, read_bytes: ReadBytes) -> WriteValue:
        read, store, text, restore = logical
        if restore is not None and read_bytes is of_latin1:
            read = _after(restore, read_bytes)
        if self._text:
            return converted(_after(text, read), write_string)
        return converted(_after(store, read), STORED[kind])

    def _record(self, fields: Sequence[Mapping[str, Any]], read_bytes: ReadBytes) -> WriteValue:
        known = [(field["name"], *self._field(field, read_bytes)) for field in fields]
        names = {field["name"] for field in fields}
        drop_unknown = self._drop_unknown

        def write(value: Any, out: bytearray) -> None:
            if type(value) is not dict:
                raise unfit(value, "an object")
            found, get = 0, value.get
            for name, write_field, default in known:
                item = get(name, _MISSING)
                if item is _MISSING:
                    if default is None:
                        raise UnfitError("missing, and the schema has no default for it").below(f".{name}")
                    out += default
                    continue
                found += 1
                try:
                    write_field(item, out)
                except UnfitError as exc:
                    exc.below(f".{name}")
                    raise
            if found < len(value) and not drop_unknown:
                raise UnfitError(f"{_unknown(value, names)}, which the schema does not have")

        return write

    def _field(self, field: Mapping[str, Any], read_bytes: ReadBytes) -> tuple[WriteValue, bytes | None]:
        """Return the function that writes a field, and what is written if it is missing, if anything."""
        write = self.compile(field["type"], read_bytes)
        if "default" not in field and not _takes_null(field["type"]):
            return write, None
        row = bytearray()
        try:
            self.compile(field["type"], of_latin1)(field.get("default"), row)
        except UnfitError as exc:
            raise UnfitError(f"the default does not fit: {exc}").below(f".{field['name']}") from exc
        return write, bytes(row)

    def _union(self, branches: Sequence[Any], read_bytes: ReadBytes) -> WriteValue:
        writes = [(long_bytes(index), self.compile(branch, read_bytes)) for index, branch in enumerate(branches)]
        if "null" in branches and len(branches) == 2:
            null, other = (writes[0], writes[1]) if branches[0] == "null" else (writes[1], writes[0])
            return write_nullable(null[0], *other)
        most_of = [_EXACT_BELOW.get(kind_of(branch), math.inf) for branch in branches]
        exact_first = [writes[index] for index in sorted(range(len(writes)), key=lambda index: -most_of[index])]
        most = min(most_of)

        def write(value: Any, out: bytearray) -> None:
            begun = len(out)
            # an id keeps all its digits if another type of the union can represent them
            is_rounded = type(value) is int and abs(value) > most
            for index, write_branch in exact_first if is_rounded else writes:
                out += index
                try:
                    return write_branch(value, out)
                except UnfitError:
                    del out[begun:]
            raise unfit(value, "of any type of the union")

        return write


def _takes_null(node: Any) -> bool:
    return node == "null" or (isinstance(node, list) and "null" in node)


def _unknown(value: Mapping[str, Any], names: set[str]) -> str:
    unknown = [repr(name[:SHOWN_CHARACTERS]) for name in value if name not in names]
    more = f" and {len(unknown) - _SHOWN_FIELDS} more" if len(unknown) > _SHOWN_FIELDS else ""
    return f"has {', '.join(unknown[:_SHOWN_FIELDS])}{more}"


def _after(second: Callable[[Any], Any], first: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: second(first(value))
