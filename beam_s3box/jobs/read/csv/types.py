"""Which CSV columns hold numbers, or true and false: decided by all of their values, and never changing one."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson

_NUMBER: Final = re.compile(r"(?!-0\Z)-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-][0-9]+)?")
"""A number of JSON: it is written as it stands. `007`, `-0`, `+1`, `.5` and `12e4` are text."""

_BOOLEANS: Final = {
    text: value for word, value in (("true", True), ("false", False)) for text in (word, word.title(), word.upper())
}


def infer_types(rows: Iterable[list[str]], columns: int) -> list[Callable[[str], Any] | None]:
    """Return what converts each column's values, None for text.

    A column is of numbers, or of true and false, if all of its values are that or empty, and one is not empty.

    Args:
      rows: of the file; those of another length count for nothing.
      columns: how many there are.
    """
    kinds = [{"number", "boolean"} for _ in range(columns)]
    seen = [False] * columns
    undecided = set(range(columns))
    for row in rows:
        if len(row) != columns:
            continue
        for column in tuple(undecided):
            value = row[column]
            if not value:
                continue
            seen[column] = True
            kinds[column] &= _kinds_of(value)
            if not kinds[column]:
                undecided.discard(column)
    converts: dict[str, Callable[[str], Any]] = {"number": _number, "boolean": _boolean}
    return [
        converts[next(iter(kind))] if kind and any_value else None for kind, any_value in zip(kinds, seen, strict=True)
    ]


def _kinds_of(value: str) -> set[str]:
    if value in _BOOLEANS:
        return {"boolean"}
    return {"number"} if _NUMBER.fullmatch(value) and math.isfinite(float(value)) else set()


def _number(value: str) -> Any:
    return orjson.Fragment(value) if value else None


def _boolean(value: str) -> bool | None:
    return _BOOLEANS[value] if value else None
