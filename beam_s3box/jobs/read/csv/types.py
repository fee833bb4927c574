"""Which CSV columns hold numbers, or true and false: decided by all of their values, and never changing one."""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson
import pyarrow.compute as pc

from beam_s3box.jobs.read.columns.json_texts import JsonTexts, escaped

_NUMBER: Final = re.compile(r"(?!-0\Z)-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-][0-9]+)?")
"""A number of JSON: it is written as it stands. `007`, `-0`, `+1`, `.5` and `12e4` are text."""

_BOOLEANS: Final = {
    text: value for word, value in (("true", True), ("false", False)) for text in (word, word.title(), word.upper())
}


class Kind(enum.Enum):
    """What the values of a column are."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"


class KindFinder:
    """Finds what columns hold: numbers, or true and false, if all values are that or empty, and one is not empty.

    Args:
      columns: how many there are.
    """

    def __init__(self, columns: int) -> None:
        self._kinds = [{Kind.NUMBER, Kind.BOOLEAN} for _ in range(columns)]
        self._seen = [False] * columns

    def add_row(self, values: Sequence[str]) -> None:
        """Take a value of each column."""
        for column, value in enumerate(values):
            self._add(column, (value,))

    def add_columns(self, columns: Sequence[Any]) -> None:
        """Take many values of each column, as arrays of Arrow."""
        for column, values in enumerate(columns):
            if self._kinds[column]:
                self._add(column, values.unique().to_pylist())

    def kinds(self) -> list[Kind]:
        """Return what the columns hold."""
        return [
            next(iter(kinds)) if kinds and seen else Kind.TEXT
            for kinds, seen in zip(self._kinds, self._seen, strict=True)
        ]

    def _add(self, column: int, values: Iterable[str]) -> None:
        kinds = self._kinds[column]
        for value in filter(None, values):
            if not kinds:
                return
            self._seen[column] = True
            kinds &= _kinds_of(value)


def value_of(kind: Kind, text: str) -> Any:
    """Return a value of a row, as it is written."""
    if kind is Kind.TEXT:
        return text
    if not text:
        return None
    return orjson.Fragment(text) if kind is Kind.NUMBER else _BOOLEANS[text]


def texts_of(kind: Kind, column: Any) -> JsonTexts:
    """Return the values of a column of Arrow, as they are written."""
    if kind is Kind.TEXT:
        return JsonTexts(escaped(column), True)
    texts = column if kind is Kind.NUMBER else pc.ascii_lower(column)
    return JsonTexts(pc.if_else(pc.equal(column, ""), None, texts))


def _kinds_of(value: str) -> set[Kind]:
    if value in _BOOLEANS:
        return {Kind.BOOLEAN}
    return {Kind.NUMBER} if _NUMBER.fullmatch(value) and math.isfinite(float(value)) else set()
