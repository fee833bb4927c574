r"""The name of a field, which may be within others: `user.country`; a dot that belongs to a name is written `\.`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

FieldPath: TypeAlias = tuple[str, ...]
"""Names from the outermost to the field's own."""

_PART: Final = re.compile(r"(?:[^.\\]|\\\.)+")


def path_of(field: str) -> FieldPath | None:
    r"""Return the path that a user wrote, None if it is none: an empty part, or a backslash not before a dot."""
    path = tuple(part.replace("\\.", ".") for part in _PART.findall(field))
    return path if path and ".".join(part.replace(".", "\\.") for part in path) == field else None


def find_field(record: Any, path: FieldPath, as_mapping: Callable[[Any], Mapping[str, Any] | None]) -> Any:
    """Return the value of a field, None if it or one around it is missing.

    Args:
      record: a mapping.
      path: of the field.
      as_mapping: gives the fields of an object.
    """
    for name in path:
        fields = as_mapping(record)
        if fields is None or name not in fields:
            return None
        record = fields[name]
    return record


def decoder_of(paths: Sequence[FieldPath]) -> tuple[Callable[[bytes], Any], tuple[str, ...]]:
    """Return a decoder of just these fields, which checks the syntax of all the rest; and the attributes they are in.

    Args:
      paths: none of which leads to another.
    """
    attributes: list[str] = []
    tree: dict[str, Any] = {}
    for path in paths:
        node = tree
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node[path[-1]] = None
    struct = _struct(tree)
    for path in paths:
        node, parts = tree, []
        for name in path:
            parts.append(f"field{list(node).index(name)}")
            node = node[name]
        attributes.append(".".join(parts))
    return msgspec.json.Decoder(struct).decode, tuple(attributes)


def _struct(tree: Mapping[str, Any]) -> Any:
    members = [
        (f"field{index}", str | int if inner is None else _struct(inner), msgspec.field(name=name))
        for index, (name, inner) in enumerate(tree.items())
    ]
    return msgspec.defstruct("StreamFields", members, gc=False)
