"""A JSONPaths file: the place of each column's value in a document; dg:copy-usage_notes-copy-from-json."""

from __future__ import annotations

import re
from typing import Any

from redshift_stand_in.errors import RedshiftError, s3_error
from redshift_stand_in.values import DECODER

Path = tuple[str | int, ...]

_BRACKETS = re.compile(r"\[(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|(\d+))\]")
_DOTS = re.compile(r"\.([^.\[\]'\"*?@()]+)|\[(\d+)\]")


def read_json_paths(body: bytes) -> list[Path] | None:
    """Return the path of each column, or None if another name than `jsonpaths` makes it 'auto'."""
    try:
        document, end = DECODER.raw_decode(body.decode("utf-8").strip())
    except ValueError as exc:
        raise s3_error(f"Invalid JSONPaths file: {exc}") from exc
    if not isinstance(document, dict) or len(document) != 1 or end != len(body.decode("utf-8").strip()):
        raise s3_error("Invalid JSONPaths file: it must be an object with a single name")
    paths = document.get("jsonpaths")
    if "jsonpaths" not in document:
        return None
    if not isinstance(paths, list) or not all(type(path) is str for path in paths):
        raise s3_error("Invalid JSONPaths file: jsonpaths must be a list of strings")
    return [parse_path(path) for path in paths]


def parse_path(text: str) -> Path:
    """Return the steps of an expression in brackets or with dots, not both, and without wildcards or filters."""
    if text.startswith("$["):
        steps, pattern = text[1:], _BRACKETS
    elif text.startswith("$."):
        steps, pattern = text[1:], _DOTS
    else:
        raise _invalid(text)
    found: list[str | int] = []
    position = 0
    while position < len(steps):
        match = pattern.match(steps, position)
        if match is None:
            raise _invalid(text)
        name = next((group for group in match.groups()[:-1] if group is not None), None)
        found.append(int(match.group(match.lastindex or 0)) if name is None else name)
        position = match.end()
    return tuple(found)


def _invalid(text: str) -> RedshiftError:
    return s3_error(f"Invalid JSONPath format: {text} is not supported")


def follow(value: Any, path: Path) -> Any:
    """Return the value at the end of a path, or None."""
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and step < len(value) else None
    return value
