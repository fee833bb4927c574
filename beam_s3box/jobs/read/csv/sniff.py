"""Where a CSV file's rows begin and which delimiter they have; where that is in doubt, the user is asked."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from beam_s3box.cli.options.csv import AUTO
from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.read.csv.dialect import CsvDialect

SNIFFED_CHARACTERS: Final = 65_536
"""Of a file are looked at."""

_CANDIDATES: Final = (",", ";", "\t", "|")
_NAMES: Final = {"\t": "tab"}
_COMPRESSIONS: Final = (".gz", ".bz2", ".xz", ".zst")
_SAMPLE_ROWS: Final = 200
_HASH: Final = "#"


class Beginning(NamedTuple):
    """What the first lines of a file show.

    Attributes:
      skipped: how many of them are blank or comments.
      delimiter: of the rows.
    """

    skipped: int
    delimiter: str


def sniff(lines: Sequence[str], is_whole: bool, path: str, dialect: CsvDialect) -> Beginning:
    """Return what the first lines of a file show.

    Args:
      lines: the first ones.
      is_whole: whether these are all.
      path: of the file.
      dialect: what the user said.

    Raises:
      ConfigurationError: several characters could be the delimiter, or a first line that begins with `#` a comment.
    """
    begin = _first_index(lines, 0, dialect.comment_character)
    rows = begin
    if dialect.comment == AUTO:
        rows = _first_index(lines, begin, _HASH)
    if rows >= len(lines):
        rows = begin
    delimiter = _find_delimiter(lines[rows:], is_whole, path, dialect)
    header = _header_with_hash(lines[begin:rows], lines[rows], path, dialect, delimiter) if rows > begin else None
    return Beginning(rows if header is None else begin + header, delimiter)


def _first_index(lines: Sequence[str], begin: int, comment: str) -> int:
    """Return the index of the first line that is neither blank nor a comment."""
    for index in range(begin, len(lines)):
        line = lines[index].strip("\r\n")
        if line and not (comment and line.startswith(comment)):
            return index
    return len(lines)


def _header_with_hash(
    comments: Sequence[str], first: str, path: str, dialect: CsvDialect, delimiter: str
) -> int | None:
    """Return which of the first lines, that begin with `#`, has the names of the columns; None if they are comments."""
    last = comments[-1]
    if _count(last, delimiter, dialect) < _count(first, delimiter, dialect):
        return None
    if last[1:2].isspace():
        raise ConfigurationError(
            f"input={path!r}: the line {last.strip()!r} could be a comment or the names of the columns: say "
            "--csv_comment '#' or --csv_comment none"
        )
    return len(comments) - 1


def _count(line: str, delimiter: str, dialect: CsvDialect) -> int:
    return max((len(row) for row in csv.reader([line], **dialect.format(delimiter))), default=0)


def _find_delimiter(lines: Sequence[str], is_whole: bool, path: str, dialect: CsvDialect) -> str:
    if dialect.delimiter != AUTO:
        return dialect.delimiter
    if _extension(path) == ".tsv":
        return "\t"
    samples = {candidate: _sample(lines, is_whole, candidate, dialect) for candidate in _CANDIDATES}
    # one that does not split the first row is none: a file may have one column
    found = {candidate: rows for candidate, rows in samples.items() if rows and len(rows[0]) > 1}
    if len(found) < 2:
        return next(iter(found), ",")
    regular = [candidate for candidate, rows in found.items() if len(set(map(len, rows))) == 1]
    if len(regular) == 1:
        return regular[0]
    names = " or ".join(repr(_NAMES.get(candidate, candidate)) for candidate in (regular or found))
    raise ConfigurationError(
        f"input={path!r}: the delimiter of this CSV file could be {names}: say which by --csv_delimiter"
    )


def _extension(path: str) -> str:
    name, extension = os.path.splitext(path.lower())
    return os.path.splitext(name)[1] if extension in _COMPRESSIONS else extension


def _sample(lines: Sequence[str], is_whole: bool, candidate: str, dialect: CsvDialect) -> list[list[str]]:
    """Return the first rows as a delimiter splits them, as far as they can be read."""
    rows: list[list[str]] = []
    comment = dialect.comment_character
    reader: Any = csv.reader(
        (line for line in lines if not (comment and line.startswith(comment))), **dialect.format(candidate)
    )
    try:
        for row in reader:
            if row:
                rows.append(row)
            if len(rows) == _SAMPLE_ROWS:
                return rows
    except csv.Error:
        return rows
    # the last one may go on behind what is looked at
    return rows if is_whole or len(rows) < 2 else rows[:-1]
