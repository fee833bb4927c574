"""Reads CSV files: rows by the names in the first one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from beam_s3box.errors import ConfigurationError, RecordError
from beam_s3box.jobs.read.columns.lines import lines_of
from beam_s3box.jobs.read.csv.dialect import CsvDialect
from beam_s3box.jobs.read.csv.parts import Block, CsvTable, Part, WrongRow, open_csv
from beam_s3box.jobs.read.csv.text import Row
from beam_s3box.jobs.read.csv.types import Kind, KindFinder, texts_of, value_of
from beam_s3box.jobs.read.row_batches import BatchBuilder, ReadColumns
from beam_s3box.records.column_batch import ColumnBatch
from beam_s3box.records.encoding import CSV_ROW_LENGTH, LONE_SURROGATE, encode_record
from beam_s3box.records.rejected_rows import RejectedRow
from beam_s3box.records.unpack import READ_BYTES


def read_csv(
    blocks: Iterator[bytes], path: str, dialect: CsvDialect, max_characters: int, *, by_columns: bool = True
) -> Iterator[ReadColumns]:
    """Yield the rows of a file in batches; as rejected rows those that are not as long as the header.

    Args:
      blocks: bytes of the file, uncompressed.
      path: of the file.
      dialect: how it is written.
      max_characters: of a value, and of a line.
      by_columns: whether many rows may be read together.

    Raises:
      ConfigurationError: the file is not CSV, its columns have no names of their own, or its delimiter is not clear.
    """
    if dialect.types == "text":
        table = open_csv(blocks, path, dialect, max_characters, by_columns)
        yield from _Writer(table.names, [Kind.TEXT] * len(table.names), path).write(table.parts)
        return
    # any value of a column may be the one that is no number: all are read before the first is written
    with tempfile.TemporaryFile() as copy:
        for block in blocks:
            copy.write(block)
        kinds = _infer(open_csv(_from_start(copy), path, dialect, max_characters, by_columns))
        table = open_csv(_from_start(copy), path, dialect, max_characters, by_columns)
        yield from _Writer(table.names, kinds, path).write(table.parts)


def _from_start(copy: BinaryIO) -> Iterator[bytes]:
    copy.seek(0)
    return iter(lambda: copy.read(READ_BYTES), b"")


def _infer(table: CsvTable) -> list[Kind]:
    """Return what the columns hold; rows of another length count for nothing."""
    finder = KindFinder(len(table.names))
    for part in table.parts:
        if isinstance(part, Row):
            finder.add_row(part.values)
        elif isinstance(part, Block):
            finder.add_columns(part.columns)
    return finder.kinds()


class _Writer:
    """Writes the rows of a file as JSON.

    Args:
      names: of its columns.
      kinds: what they hold.
      path: of the file.
    """

    def __init__(self, names: Sequence[str], kinds: Sequence[Kind], path: str) -> None:
        self._names = names
        self._kinds = kinds
        self._path = path
        self._typed = [(name, kind) for name, kind in zip(names, kinds, strict=True) if kind is not Kind.TEXT]

    def write(self, parts: Iterator[Part]) -> Iterator[ReadColumns]:
        """Yield batches of rows, and rejected rows."""
        builder = BatchBuilder(self._path)
        for part in parts:
            if isinstance(part, Row):
                if builder.add(self._line(part), part.line):
                    yield from builder.take()
            elif isinstance(part, Block):
                yield self._lines(part)
            else:
                yield self._rejected(part)
        yield from builder.take()

    def _line(self, row: Row) -> bytes:
        record: dict[str, Any] = dict(zip(self._names, row.values, strict=True))
        for name, kind in self._typed:
            record[name] = value_of(kind, record[name])
        try:
            return encode_record(record)
        except RecordError as exc:
            if exc.reason != LONE_SURROGATE:
                raise
            # a property of the file and not of the row, so that all others with such letters would be wrong as well
            raise ConfigurationError(
                f"input={self._path!r} is not valid CSV in UTF-8 at line {row.line}: correct the line, or say the "
                "file's encoding by --csv_encoding, as latin-1, cp1252 or utf-16"
            ) from exc

    def _lines(self, block: Block) -> ColumnBatch:
        texts = lines_of(self._names, list(map(texts_of, self._kinds, block.columns)))
        columns = dict(zip(self._names, block.columns, strict=True)) | {name: None for name, _ in self._typed}
        return ColumnBatch(texts, columns, self._path, block.lines)

    def _rejected(self, row: WrongRow) -> RejectedRow:
        width = _number(len(self._names), "column")
        detail = f"{_number(row.values, 'value')}, and the file has {width}"
        return RejectedRow(CSV_ROW_LENGTH, detail, self._path, row.line, row.raw)


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
