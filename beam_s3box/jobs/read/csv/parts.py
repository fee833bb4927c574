"""A CSV file's rows: columns of many where they are clear, else one by one."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.read.csv.blocks import BlockReader, Scanned
from beam_s3box.jobs.read.csv.dialect import CsvDialect
from beam_s3box.jobs.read.csv.layout import Layout, layout_of
from beam_s3box.jobs.read.csv.sniff import SNIFFED_CHARACTERS
from beam_s3box.jobs.read.csv.text import CsvRows, Row, check_length, lines_of
from beam_s3box.sizes import MiB

PIECE_BYTES: Final = MiB
"""Of a file that become columns together; as JSON they are about three times as many."""

_CHARACTER_BYTES: Final = 4
"""The most that a character takes in UTF-8."""


_UTF_16: Final[Mapping[str, re.Pattern[bytes]]] = {
    "utf-16-le": re.compile(rb"([^\0]\0){2}"),
    "utf-16-be": re.compile(rb"(\0[^\0]){2}"),
}


class WrongRow(NamedTuple):
    """A row of another length than the header.

    Attributes:
      line: that it begins in.
      values: how many it has.
      raw: its text, without the line break at its end.
    """

    line: int
    values: int
    raw: bytes


class Block(NamedTuple):
    """Rows that are read together.

    Attributes:
      columns: of Arrow, texts without null, one for each name.
      lines: that the rows begin in.
    """

    columns: Sequence[Any]
    lines: Sequence[int]


Part: TypeAlias = Block | Row | WrongRow


class CsvTable(NamedTuple):
    """A file's columns and rows.

    Attributes:
      names: of the columns.
      parts: the rows.
    """

    names: Sequence[str]
    parts: Iterator[Part]


def open_csv(
    blocks: Iterator[bytes], path: str, dialect: CsvDialect, max_characters: int, by_columns: bool
) -> CsvTable:
    """Return a file's columns and rows; these raise ConfigurationError where the text is not CSV.

    Args:
      blocks: bytes of the file, uncompressed, without a byte order mark.
      path: of the file.
      dialect: how it is written.
      max_characters: of a value, and of a line.
      by_columns: whether many rows may be read together.

    Raises:
      ConfigurationError: as `layout_of`; or the text is in UTF-16, and that was not said.
    """
    head, is_whole = _begin_of(blocks)
    if dialect.is_utf8:
        _check_width(head, path)
    layout = _clear_layout(head, is_whole, path, dialect, max_characters) if by_columns else None
    if layout is not None:
        values = itertools.chain((head[_after_lines(head, layout.lines) :],), blocks)
        return CsvTable(layout.names, _ByColumns(layout, values, path, dialect, max_characters).parts())
    lines = lines_of(itertools.chain((head,), blocks), path, dialect, max_characters)
    layout = layout_of(lines, path, dialect, max_characters)
    rows = CsvRows(layout.rest, layout.lines, path, dialect, layout.delimiter, max_characters)
    return CsvTable(layout.names, _parts_of(rows, len(layout.names), dialect))


def _check_width(head: bytes, path: str) -> None:
    """Raise ConfigurationError for text in UTF-16, whose first characters are those of Latin scripts as a rule."""
    for encoding, begin in _UTF_16.items():
        if begin.match(head):
            raise ConfigurationError(
                f"input={path!r} can't be read: it is CSV in UTF-16 without a byte order mark: convert it to UTF-8, or "
                f"give --csv_encoding={encoding}"
            )


def _begin_of(blocks: Iterator[bytes]) -> tuple[bytes, bool]:
    """Return the first lines, enough to know how a file begins, and whether they are all."""
    head = b""
    while len(head) <= _CHARACTER_BYTES * SNIFFED_CHARACTERS:
        block = next(blocks, b"")
        if not block:
            return head, True
        head += block
    return head, False


def _clear_layout(head: bytes, is_whole: bool, path: str, dialect: CsvDialect, max_characters: int) -> Layout | None:
    """Return how a file begins if that is clear, and its rows may be read by columns."""
    whole_lines = head if is_whole else head[: head.rfind(b"\n") + 1]
    if not is_whole and len(whole_lines) < _CHARACTER_BYTES * SNIFFED_CHARACTERS:
        return None
    if whole_lines.count(b"\r") != whole_lines.count(b"\r\n"):
        return None
    lines = lines_of(iter((whole_lines,)), path, dialect, max_characters)
    try:
        layout = layout_of(lines, path, dialect, max_characters)
    except ConfigurationError:
        return None  # it is said, with all of the file, by who reads its rows
    return layout if layout.names and BlockReader.is_possible(dialect, layout.delimiter) else None


def _after_lines(text: bytes, lines: int) -> int:
    """Return where a text goes on behind so many lines."""
    position = 0
    for _ in range(lines):
        position = text.find(b"\n", position) + 1 or len(text)
    return position


def _parts_of(rows: CsvRows, width: int, dialect: CsvDialect) -> Iterator[Part]:
    errors = "surrogateescape" if dialect.is_utf8 else "replace"
    for row in rows:
        if len(row.values) == width:
            yield row
        else:
            yield WrongRow(row.line, len(row.values), rows.raw.encode("utf-8", errors))


class _ByColumns:
    """Reads a file by blocks of columns; a block that is not clear row by row, to the end of the row that ends last.

    Args:
      layout: of the file.
      blocks: its bytes from the first row of values on.
      path: of the file.
      dialect: how it is written.
      max_characters: of a value, and of a line.
    """

    def __init__(
        self, layout: Layout, blocks: Iterator[bytes], path: str, dialect: CsvDialect, max_characters: int
    ) -> None:
        self._layout = layout
        self._pieces = _pieces_of(blocks)
        self._path = path
        self._dialect = dialect
        self._max_characters = max_characters
        self._lines = layout.lines
        self._data = b""
        self._rows: CsvRows
        self._reader = BlockReader(layout.names, dialect, layout.delimiter)

    def parts(self) -> Iterator[Part]:
        """Yield the rows."""
        while self._read_on():
            scanned = self._reader.scan(self._data)
            if scanned is None:
                yield from self._read_rows(self._take_lines())
            elif len(scanned.rows):
                yield from self._read_block(scanned)
            elif self._is_too_long:
                yield from self._read_rows(self._take(len(self._data)))
        yield from self._read_rows(self._take(len(self._data)))

    def _read_on(self) -> bool:
        """Add the next piece; return whether there was one."""
        piece = next(self._pieces, b"")
        self._data += piece
        return bool(piece)

    def _take(self, size: int) -> bytes:
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def _take_lines(self) -> bytes:
        """Take all whole lines; what is too long for a line is taken as it is."""
        return self._take(self._data.rfind(b"\n") + 1 or (len(self._data) if self._is_too_long else 0))

    @property
    def _is_too_long(self) -> bool:
        return len(self._data) > _CHARACTER_BYTES * self._max_characters

    def _read_block(self, scanned: Scanned) -> Iterator[Part]:
        size = int(scanned.rows[-1]) + 1
        data = self._take(size)
        lines = scanned.lines[: np.searchsorted(scanned.lines, size)]
        longest = int(np.diff(scanned.rows, prepend=-1).max())
        has_long_rows = len(lines) > len(scanned.rows)
        found = None
        if longest <= self._max_characters:
            found = self._reader.read(data, len(scanned.rows), has_long_rows)
        if found is None:
            yield from self._read_rows(data)
            return
        begins = np.concatenate(([0], scanned.rows[:-1] + 1))
        first = self._lines + 1
        numbers: Sequence[int] = range(first, first + len(begins))
        if has_long_rows:
            numbers = (np.searchsorted(lines, begins) + first).tolist()
        for place, values in found.wrong:
            raw = data[begins[place] : scanned.rows[place]].removesuffix(b"\r")
            yield WrongRow(numbers[place], values, raw)
        if found.wrong:
            wrong = {row.place for row in found.wrong}
            numbers = [number for place, number in enumerate(numbers) if place not in wrong]
        self._lines += len(lines)
        if numbers:
            yield Block(found.columns, numbers)

    def _read_rows(self, data: bytes) -> Iterator[Part]:
        """Yield the rows that begin in some lines."""
        layout = self._layout
        self._rows = CsvRows(
            self._lines_of(data), self._lines, self._path, self._dialect, layout.delimiter, self._max_characters
        )
        yield from _parts_of(self._rows, len(layout.names), self._dialect)
        self._lines = self._rows.lines

    def _lines_of(self, data: bytes) -> Iterator[str]:
        """Yield lines, and the next ones as long as a row goes on in them."""
        number = self._lines
        while data:
            for line in io.StringIO(data.decode("utf-8", "surrogateescape"), ""):
                number += 1
                check_length(line, number, self._path, self._max_characters)
                yield line
            if not self._rows.taken:
                return
            data = self._take_lines()
            while not data and self._read_on():
                data = self._take_lines()
            data = data or self._take(len(self._data))


def _pieces_of(blocks: Iterator[bytes]) -> Iterator[bytes]:
    for block in blocks:
        for start in range(0, len(block), PIECE_BYTES):
            yield block[start : start + PIECE_BYTES]
