"""Blocks of CSV that are read by columns: those of which two readers can't be of two minds.

Arrow's reader splits a block into columns far faster than Python's splits it into rows. Both find the same values where
each quote opens a value, closes it, or stands there twice within one. Other blocks are left to Python's reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv

from beam_s3box.jobs.read.csv.dialect import NONE, CsvDialect
from beam_s3box.records.lines import BYTE_ORDER_MARK

_LINE_FEED: Final = ord("\n")
_CARRIAGE_RETURN: Final = ord("\r")
_CODES: Final = 256


class WrongRow(NamedTuple):
    """A row of another length than the header.

    Attributes:
      place: of the row in the block, from 0.
      values: how many it has.
    """

    place: int
    values: int


class Scanned(NamedTuple):
    """What the bytes of a text show.

    Attributes:
      lines: where lines end.
      rows: where rows end: not within quotes.
    """

    lines: Any
    rows: Any


class Columns(NamedTuple):
    """A block's values.

    Attributes:
      columns: of Arrow, one for each name, of the rows that have as many values.
      wrong: the others.
    """

    columns: Sequence[Any]
    wrong: Sequence[WrongRow]


class BlockReader:
    """Reads blocks of one file.

    Args:
      names: of the columns.
      dialect: of the file, for which `is_possible`.
      delimiter: between values.
    """

    def __init__(self, names: Sequence[str], dialect: CsvDialect, delimiter: str) -> None:
        self._names = list(names)
        self._delimiter = delimiter
        self._quote = "" if dialect.quote == NONE else dialect.quote
        self._before, self._behind = np.zeros(_CODES, bool), np.zeros(_CODES, bool)
        for character in (delimiter, "\n", self._quote):
            self._before[list(character.encode())] = self._behind[list(character.encode())] = True
        self._behind[_CARRIAGE_RETURN] = True
        self._convert = pyarrow.csv.ConvertOptions(
            check_utf8=False, column_types={name: pa.string() for name in self._names}
        )

    @staticmethod
    def is_possible(dialect: CsvDialect, delimiter: str) -> bool:
        """Return whether files of this kind can be read so."""
        plain = not dialect.escape and not dialect.comment_character and dialect.is_utf8
        return plain and delimiter.isascii() and dialect.quote.isascii()

    def scan(self, data: bytes) -> Scanned | None:
        """Return where rows end in a text that begins with a row; None if a quote is out of place."""
        codes = np.frombuffer(data, np.uint8)
        lines = np.flatnonzero(codes == _LINE_FEED)
        if not self._quote or self._quote.encode() not in data:
            return Scanned(lines, lines)
        quotes = np.flatnonzero(codes == ord(self._quote))
        opening, closing = quotes[::2], quotes[1::2]
        before, behind = codes[opening[opening > 0] - 1], codes[closing[closing < len(codes) - 1] + 1]
        if not (self._before[before].all() and self._behind[behind].all()):
            return None
        return Scanned(lines, lines[np.searchsorted(quotes, lines) % 2 == 0])

    def read(self, block: bytes, rows: int, has_long_rows: bool) -> Columns | None:
        """Return the columns of a block that ends with a row, None if another reader may find others.

        Args:
          block: that `scan` found in order.
          rows: how many rows it has.
          has_long_rows: whether some go over several lines.
        """
        if _CARRIAGE_RETURN in block and block.count(b"\r") != block.count(b"\r\n"):
            return None
        if not _is_utf8(block):
            return None
        if block.startswith(BYTE_ORDER_MARK):
            block = BYTE_ORDER_MARK + block  # the library takes one away, and this one is a part of the first value
        wrong: list[WrongRow] = []

        def note(row: Any) -> str:
            wrong.append(WrongRow(row.number - 1, row.actual_columns))
            return "skip"

        parse = pyarrow.csv.ParseOptions(
            delimiter=self._delimiter,
            quote_char=self._quote or False,
            newlines_in_values=has_long_rows,
            invalid_row_handler=note,
        )
        read = pyarrow.csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=self._names)
        try:
            table = pyarrow.csv.read_csv(pa.BufferReader(block), read, parse, self._convert)
        except pa.ArrowInvalid:
            return None
        # blank lines are no rows, and make the numbers of others wrong
        if table.num_rows + len(wrong) != rows:
            return None
        return Columns([column.combine_chunks() for column in table.columns], wrong)


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
