"""Checks of schemas that the parser does not make, and the schema that Redshift's COPY can read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from beam_s3box.errors import ConfigurationError
from beam_s3box.formats.avro.values import logical_of

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PRIMITIVES: Final = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
_NAMED: Final = ("record", "error", "enum", "fixed")


def check_schema(schema: Any) -> None:
    """Raise ConfigurationError for a schema that readers would reject.

    Args:
      schema: the parsed schema, with full names.
    """
    for node, path in _walk(schema, ""):
        problem = _problem_of_union(node) if isinstance(node, list) else _problem_of(node)
        if problem:
            raise ConfigurationError(f"schema{path}: {problem}")


def check_fields(schema: Any) -> None:
    """Raise ConfigurationError for a record without fields, which the parser accepts and other readers do not.

    Args:
      schema: the schema as it was given.
    """
    for node, path in _walk(schema, ""):
        if isinstance(node, Mapping) and node.get("type") == "record" and not isinstance(node.get("fields"), list):
            raise ConfigurationError(f"schema{path}: a record must have a list of fields, which may be empty")


def check_unions_for_copy(schema: Any) -> None:
    """Raise ConfigurationError for unions that COPY may not support."""
    for node, path in _walk(schema, ""):
        if isinstance(node, list) and len([branch for branch in node if branch != "null"]) > 1:
            raise ConfigurationError(
                f"schema{path} is a union of several types, and Redshift's COPY is only known to support null and "
                "one type: use one type, or write no manifests"
            )


def as_text(schema: Any) -> Any:
    """Return the schema with strings instead of logical types, which COPY would load as numbers or bytes.

    Defaults of these fields are removed: they are written into each record that needs them.
    """
    return _Rewriter().rewrite(schema)


class _Rewriter:
    def __init__(self) -> None:
        self._texts: set[str] = set()

    def rewrite(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.rewrite(branch) for branch in node]
        if isinstance(node, str):
            return "string" if node in self._texts else node
        if logical_of(node) is not None:
            self._texts.update(filter(None, [node.get("name")]))
            return "string"
        rewritten = {name: self.rewrite(node[name]) if name in ("items", "values") else node[name] for name in node}
        if "fields" in node:
            rewritten["fields"] = [self._field(field) for field in node["fields"]]
        return rewritten

    def _field(self, field: Mapping[str, Any]) -> dict[str, Any]:
        kind = self.rewrite(field["type"])
        same = kind == field["type"]
        return {name: kind if name == "type" else field[name] for name in field if same or name != "default"}


def _walk(node: Any, path: str) -> Iterator[tuple[Any, str]]:
    """Yield each union and each complex type, with its path."""
    if isinstance(node, list):
        yield node, path
        for branch in node:
            yield from _walk(branch, path)
    elif isinstance(node, Mapping):
        yield node, path
        for name in ("items", "values"):
            if name in node:
                yield from _walk(node[name], f"{path}.{name}")
        for field in node.get("fields", ()):
            yield from _walk(field["type"], f"{path}.{field['name']}")


def _problem_of(node: Mapping[str, Any]) -> str | None:
    kind = node["type"]
    if node.get("name") in _PRIMITIVES:
        return f"the name {node['name']!r} is that of a built-in type of Avro"
    bad = [part for part in str(node.get("name", "x")).split(".") if not _NAME.fullmatch(part)]
    names = [field["name"] for field in node.get("fields", ())]
    bad += [name for name in names if not _NAME.fullmatch(name)]
    if bad:
        return f"the name {bad[0]!r} must be letters, digits and _, and not start with a digit"
    if len(set(names)) < len(names):
        return f"the field {next(name for name in names if names.count(name) > 1)!r} occurs twice"
    if kind == "fixed" and (not isinstance(node["size"], int) or isinstance(node["size"], bool) or node["size"] < 0):
        return f"size={node['size']!r} must be a whole number of bytes"
    if node.get("logicalType") == "decimal" and kind in ("bytes", "fixed"):
        return _problem_of_decimal(node)
    return None


def _problem_of_decimal(node: Mapping[str, Any]) -> str | None:
    precision, scale = node.get("precision"), node.get("scale", 0)
    if not _is_whole(precision, 1) or not _is_whole(scale, 0):
        return f"a decimal needs a precision of at least 1, and a scale, not {precision!r} and {scale!r}"
    return None


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _problem_of_union(branches: Sequence[Any]) -> str | None:
    if not branches:
        return "a union must have a type"
    kinds = [kind_of(branch) for branch in branches]
    if "union" in kinds:
        return "a union can't hold a union"
    twice = [kind for kind in kinds if kinds.count(kind) > 1]
    return f"the union has {twice[0]!r} twice" if twice else None


def kind_of(branch: Any) -> str:
    """Return what distinguishes a type in a union: its kind, or its name if it has one."""
    if isinstance(branch, list):
        return "union"
    if isinstance(branch, str):
        return branch
    return str(branch["name"] if branch["type"] in _NAMED else branch["type"])
