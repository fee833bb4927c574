"""Rows of CSV out of bytes, with the line that each begins in and its text as it is in the file."""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.read.csv.dialect import CsvDialect
from beam_s3box.jobs.read.seekable import file_of


class Row(NamedTuple):
    """A row as it is in a file.

    Attributes:
      line: that it begins in, from 1.
      values: of the row.
    """

    line: int
    values: list[str]


def lines_of(blocks: Iterator[bytes], path: str, dialect: CsvDialect, max_characters: int) -> Iterator[str]:
    """Yield the lines of a file with their line breaks, which are LF, CRLF or CR.

    Bytes that are not UTF-8, if the file is to be, become lone surrogates.

    Args:
      blocks: bytes of the file.
      path: of the file.
      dialect: how it is written.
      max_characters: of a line.

    Raises:
      ConfigurationError: the text is not in its encoding, or a line is longer.
    """
    encoding, errors = ("utf-8-sig", "surrogateescape") if dialect.is_utf8 else (dialect.encoding, "strict")
    text = io.TextIOWrapper(file_of(blocks), encoding, errors, newline="")
    number = 0
    try:
        for number, line in enumerate(iter(functools.partial(text.readline, max_characters + 2), ""), 1):
            check_length(line, number, path, max_characters)
            yield line if number > 1 else line.removeprefix("\ufeff")
    except UnicodeError as exc:
        raise ConfigurationError(
            f"input={path!r} is not valid CSV in {dialect.encoding} after line {number}: {exc}; see --csv_encoding"
        ) from exc


def check_length(line: str, number: int, path: str, max_characters: int) -> None:
    """Raise ConfigurationError if a line, its line break aside, is longer."""
    if len(line) > max_characters and len(line.rstrip("\r\n")) > max_characters:
        raise ConfigurationError(
            f"input={path!r} is not valid CSV at line {number}: a line of more than {max_characters} characters"
        )


class CsvRows:
    """The rows of a file, with all that says where they are; blank lines are no rows.

    Args:
      lines: of the file.
      skipped: how many lines of the file come before.
      path: of the file.
      dialect: how it is written.
      delimiter: between values.
      max_characters: of a value.

    Attributes:
      lines: how many lines of the file were taken.
      taken: the lines of the row that was yielded last, or that goes on.
    """

    def __init__(
        self, lines: Iterable[str], skipped: int, path: str, dialect: CsvDialect, delimiter: str, max_characters: int
    ) -> None:
        self._lines = lines
        self.lines = self._first = skipped
        self._path = path
        self._comment = dialect.comment_character
        self._max_characters = max_characters
        self.taken: list[str] = []
        self._rows = csv.reader(self._take_lines(), strict=True, **dialect.format(delimiter))

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows.

        Raises:
          ConfigurationError: the text is not CSV; says the file, the line, and a way out.
        """
        # one for all readers of the process: they are given the same limit
        csv.field_size_limit(self._max_characters)
        try:
            for values in self._rows:
                if values:
                    yield Row(self._first, values)
                self.taken.clear()
        except csv.Error as exc:
            raise ConfigurationError(
                f"input={self._path!r} is not valid CSV at line {self._first}: {exc}; correct the line, or see "
                "--csv_quote ('none' where quotes mean nothing) and --csv_escape"
            ) from exc

    @property
    def raw(self) -> str:
        """The text of the row that was yielded last, without its line break."""
        return "".join(self.taken).removesuffix("\n").removesuffix("\r")

    def _take_lines(self) -> Iterator[str]:
        taken, comment = self.taken, self._comment
        for line in self._lines:
            self.lines += 1
            if not taken:
                if comment and line.startswith(comment):
                    continue
                self._first = self.lines
            taken.append(line)
            yield line
