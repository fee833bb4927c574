"""From a document to the values of the columns: by key, by path, or whole."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

from redshift_stand_in.errors import RedshiftError, RowError, s3_error
from redshift_stand_in.json_paths import follow, read_json_paths
from redshift_stand_in.values import Object

Mapping = Callable[[Any], list[Any]]

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_NOT_AN_OBJECT = "Invalid JSONPath format: Member is not an object."


def by_name(columns: list[str], ignore_case: bool) -> Mapping:
    """Return a mapping of keys to columns, whose names are lower case; a missing key is NULL, others are ignored."""
    wanted = set(columns)

    def pick(value: Any) -> list[Any]:
        if not isinstance(value, dict):
            raise RowError(1216, _NOT_AN_OBJECT)
        found: dict[str, Any] = {}
        repeated = value.repeated if isinstance(value, Object) else ()
        for key, item in value.items():
            name = key.translate(_LOWER) if ignore_case else key
            if name in wanted and (name in found or key in repeated):
                # it is not documented what Redshift loads then: better no row than one of two values
                raise RowError(1216, f"Duplicate key {name} in JSON object", name)
            found[name] = item
        return [found.get(name) for name in columns]

    return pick


def by_path(body: bytes, columns: list[str]) -> Mapping:
    """Return the mapping of a JSONPaths file: its expressions are for the columns in their order."""
    paths = read_json_paths(body)
    if paths is None:
        return by_name(columns, ignore_case=False)
    if len(paths) != len(columns):
        raise s3_error(
            "Number of jsonpaths and the number of columns should match. "
            f"JSONPath size: {len(paths)}, Number of columns in table or column list: {len(columns)}"
        )
    return lambda value: [follow(value, path) for path in paths]


def whole(types: list[str]) -> Mapping:
    """Return the mapping of 'noshred': the document is the only column."""
    if types != ["super"]:
        raise RedshiftError("JSON 'noshred' needs a table with a single SUPER column")
    return lambda value: [value]
