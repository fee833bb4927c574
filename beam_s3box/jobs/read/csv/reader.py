"""Reads CSV files: rows by the names in the first one."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from beam_s3box.errors import ConfigurationError, RecordError
from beam_s3box.jobs.read.csv.dialect import CsvDialect
from beam_s3box.jobs.read.csv.names import column_names
from beam_s3box.jobs.read.csv.sniff import SNIFFED_CHARACTERS, sniff
from beam_s3box.jobs.read.csv.text import CsvRows, Row, lines_of
from beam_s3box.jobs.read.csv.types import infer_types
from beam_s3box.jobs.read.row_batches import BatchBuilder, ReadRow
from beam_s3box.records.encoding import CSV_ROW_LENGTH, LONE_SURROGATE, encode_record
from beam_s3box.records.rejected_rows import RejectedRow
from beam_s3box.records.unpack import READ_BYTES

_Converts = list[Callable[[str], Any] | None]


def read_csv(blocks: Iterator[bytes], path: str, dialect: CsvDialect, max_characters: int) -> Iterator[ReadRow]:
    """Yield the rows of a file as batches of lines; as rejected rows those that are not as long as the header.

    Args:
      blocks: bytes of the file, uncompressed.
      path: of the file.
      dialect: how it is written.
      max_characters: of a value, and of a line.

    Raises:
      ConfigurationError: the file is not CSV, its columns have no names of their own, or its delimiter is not clear.
    """
    if dialect.types == "text":
        yield from _Table(blocks, path, dialect, max_characters).read([])
        return
    # any value of a column may be the one that is no number: all are read before the first is written
    with tempfile.TemporaryFile() as copy:
        for block in blocks:
            copy.write(block)
        converts = _Table(_from_start(copy), path, dialect, max_characters).infer()
        yield from _Table(_from_start(copy), path, dialect, max_characters).read(converts)


def _from_start(copy: BinaryIO) -> Iterator[bytes]:
    copy.seek(0)
    return iter(lambda: copy.read(READ_BYTES), b"")


class _Table:
    """A file's columns and rows.

    Args:
      blocks: bytes of the file.
      path: of the file.
      dialect: how it is written.
      max_characters: of a value, and of a line.
    """

    def __init__(self, blocks: Iterator[bytes], path: str, dialect: CsvDialect, max_characters: int) -> None:
        self._path = path
        self._dialect = dialect
        lines = lines_of(blocks, path, dialect, max_characters)
        head, is_whole = _head_of(lines)
        begin = sniff(head, is_whole, path, dialect)
        rest = itertools.chain(head[begin.skipped :], lines)
        self._rows = CsvRows(rest, begin.skipped, path, dialect, begin.delimiter, max_characters)
        self._all: Iterator[Row] = iter(self._rows)
        first = next(self._all, None)
        self._names = [] if first is None else column_names(first.values, path, dialect)
        self._first = [first] if first is not None and not dialect.has_header else []

    def infer(self) -> _Converts:
        """Return what converts the values of each column."""
        return infer_types((row.values for row in itertools.chain(self._first, self._all)), len(self._names))

    def read(self, converts: _Converts) -> Iterator[ReadRow]:
        """Yield the rows.

        Args:
          converts: the values of each column, None for text; empty for text everywhere.
        """
        names, width, builder = self._names, len(self._names), BatchBuilder(self._path)
        typed = [(column, convert) for column, convert in enumerate(converts) if convert is not None]
        for line, values in itertools.chain(self._first, self._all):
            if len(values) != width:
                detail = f"{_number(len(values), 'value')}, and the file has {_number(width, 'column')}"
                yield self._rejected(CSV_ROW_LENGTH, detail, line)
                continue
            row: dict[str, Any] = dict(zip(names, values, strict=True))
            for column, convert in typed:
                row[names[column]] = convert(values[column])
            try:
                text = encode_record(row)
            except RecordError as exc:
                if exc.reason != LONE_SURROGATE:
                    raise
                # a property of the file and not of the row, so that all others with such letters would be wrong as well
                raise ConfigurationError(
                    f"input={self._path!r} is not valid CSV in UTF-8 at line {line}: correct the line, or say the "
                    "file's encoding by --csv_encoding, as latin-1, cp1252 or utf-16"
                ) from exc
            if builder.add(text, line):
                yield from builder.take()
        yield from builder.take()

    def _rejected(self, reason: str, detail: str, line: int) -> RejectedRow:
        errors = "surrogateescape" if self._dialect.is_utf8 else "replace"
        return RejectedRow(reason, detail, self._path, line, self._rows.raw.encode("utf-8", errors))


def _head_of(lines: Iterator[str]) -> tuple[list[str], bool]:
    """Return the first lines, and whether these are all."""
    head, characters = [], 0
    for line in lines:
        head.append(line)
        characters += len(line)
        if characters >= SNIFFED_CHARACTERS:
            return head, False
    return head, True


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
