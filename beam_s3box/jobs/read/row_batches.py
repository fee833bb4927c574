"""Rows as lines of JSON, in batches that know their file; rows that have no JSON are handed on as such."""

from __future__ import annotations

import collections.abc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import orjson

from beam_s3box.errors import RecordError
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.column_batch import ColumnBatch
from beam_s3box.records.encoding import (
    INVALID_UTF8,
    JSON_OPTIONS,
    LONE_SURROGATE,
    NOT_AN_OBJECT,
    encode_record,
    original_bytes,
)
from beam_s3box.records.json_values import json_default
from beam_s3box.records.lines import BATCH_BYTES
from beam_s3box.records.rejected_rows import RejectedRow
from beam_s3box.records.unfit import Unfit

ReadRow: TypeAlias = LineBatch | RejectedRow
"""What readers of files yield."""

ReadColumns: TypeAlias = ReadRow | ColumnBatch
"""What readers of rows yield, for steps that take columns."""


class BatchBuilder:
    """Collects lines of one file until they are a batch.

    Args:
      source: path of the file.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self._begin()

    def _begin(self) -> None:
        self._lines: list[bytes] = []
        self._numbers: list[int] = []
        self._bytes = 0

    def add(self, line: bytes, number: int) -> bool:
        """Add a line; return whether a batch is full."""
        self._lines.append(line)
        self._numbers.append(number)
        self._bytes += len(line)
        return self._bytes >= BATCH_BYTES

    def take(self) -> Iterator[LineBatch]:
        """Yield the batch, if there is anything in it, and begin the next one."""
        if self._lines:
            yield LineBatch(self._lines, self.source, _as_range(self._numbers))
            self._begin()


def as_lines(read: Iterable[ReadColumns]) -> Iterator[ReadRow]:
    """Yield what was read, all rows as lines."""
    for some in read:
        if isinstance(some, ColumnBatch):
            yield from some.to_lines()
        else:
            yield some


def batches_of(rows: Iterable[tuple[int, Any]], source: str) -> Iterator[ReadRow]:
    """Yield batches of lines for rows that come with their numbers, and rejected rows for those that have no JSON."""
    builder = BatchBuilder(source)
    for number, row in rows:
        try:
            if not isinstance(row, collections.abc.Mapping):
                raise RecordError(f"a {type(row).__name__}, not an object", NOT_AN_OBJECT)
            line = encode_record(row)
        except RecordError as exc:
            yield _rejected(row, exc, source, number)
            continue
        if builder.add(line, number):
            yield from builder.take()
    yield from builder.take()


def _rejected(row: Any, error: RecordError, source: str, number: int) -> RejectedRow:
    if error.reason == LONE_SURROGATE:
        # what bytes that are not UTF-8 were read as
        return RejectedRow(INVALID_UTF8, "a text is not valid UTF-8", source, number, _shown(row))
    return RejectedRow(error.reason, str(error), source, number, _shown(row))


def _shown(row: Any) -> bytes:
    try:
        return orjson.dumps(row, _show, JSON_OPTIONS | orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return original_bytes(_readable(row))


def _show(value: Any) -> Any:
    return value.shown if isinstance(value, Unfit) else json_default(value)


def _readable(value: Any) -> Any:
    """Return a row whose broken texts can be read."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if isinstance(value, Unfit):
        return value.shown
    if isinstance(value, Mapping):
        return {_readable(key): _readable(item) for key, item in value.items()}
    return [_readable(item) for item in value] if isinstance(value, list) else value


def _as_range(numbers: list[int]) -> Sequence[int]:
    """Return numbers that follow one another as a range, which is small wherever it is sent."""
    first, last = numbers[0], numbers[-1]
    return range(first, last + 1) if last - first == len(numbers) - 1 else numbers
