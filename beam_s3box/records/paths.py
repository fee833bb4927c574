r"""The name of a field: `user.country` is the field of that very name or, where there is none, `country` in `user`.

`user\.country` is the field of that very name alone.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

FieldPath: TypeAlias = tuple[str, ...]
"""Names from the outermost to the field's own."""

_PART: Final = re.compile(r"(?:[^.\\]|\\\.)+")


def paths_of(field: str) -> tuple[FieldPath, ...]:
    """Return where a field may be, the first of which counts; nothing if no field can have the name."""
    path = tuple(part.replace("\\.", ".") for part in _PART.findall(field))
    if ".".join(part.replace(".", "\\.") for part in path) != field:
        return () if "\\" in field else ((field,),)
    return (path,) if len(path) == 1 else ((".".join(path),), path)


def find_field(record: Any, paths: Sequence[FieldPath], as_mapping: Callable[[Any], Mapping[str, Any] | None]) -> Any:
    """Return the value of a field, None if it is nowhere.

    Args:
      record: a mapping.
      paths: where the field may be.
      as_mapping: gives the fields of an object.
    """
    for path in paths:
        found = record
        for name in path:
            fields = as_mapping(found)
            found = None if fields is None else fields.get(name)
        if found is not None:
            return found
    return None


def decoder_of(
    fields: Sequence[Sequence[FieldPath]], kind: Any = str | int
) -> tuple[Callable[[bytes], Any], Callable[[Any], Any]]:
    """Return a decoder of just these fields, which checks the syntax of all the rest, and what takes their values off.

    The values are a pair, one value, or None for no fields.

    Args:
      fields: where each may be; no path leads to another.
      kind: the type of their values.
    """
    tree: dict[str, Any] = {}
    for path in (path for paths in fields for path in paths):
        node = tree
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node[path[-1]] = None
    is_plain = all(len(paths) == 1 for paths in fields)
    decode = msgspec.json.Decoder(_struct(tree, kind)).decode
    attributes = [[_attribute(tree, path) for path in paths] for paths in fields]
    if not fields:
        return decode, _nothing
    if is_plain:
        return decode, operator.attrgetter(*(paths[0] for paths in attributes))
    readers = [[operator.attrgetter(name) for name in paths] for paths in attributes]
    if len(readers) == 1:
        return decode, lambda decoded: _first(decoded, readers[0])
    return decode, lambda decoded: tuple(_first(decoded, some) for some in readers)


def _nothing(decoded: Any) -> None:
    """Return None: the stream is named by constants."""


def _first(decoded: Any, readers: Sequence[Callable[[Any], Any]]) -> Any:
    for read in readers:
        try:
            value = read(decoded)
        except AttributeError:  # of None, an object that is missing
            continue
        if value is not None:
            return value
    return None


def _attribute(tree: Mapping[str, Any], path: FieldPath) -> str:
    parts, node = [], tree
    for name in path:
        parts.append(f"field{list(node).index(name)}")
        node = node[name]
    return ".".join(parts)


def _struct(tree: Mapping[str, Any], kind: Any) -> Any:
    """Return the type of the fields; one that is missing or null is None, and rejected together with others."""
    members = [
        (
            f"field{index}",
            (kind if inner is None else _struct(inner, kind)) | None,
            msgspec.field(name=name, default=None),
        )
        for index, (name, inner) in enumerate(tree.items())
    ]
    return msgspec.defstruct("Fields", members, gc=False)
