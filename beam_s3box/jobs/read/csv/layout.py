"""How a CSV file begins: the names of its columns, its delimiter, and where the first row of values is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from beam_s3box.jobs.read.csv.dialect import CsvDialect
from beam_s3box.jobs.read.csv.names import column_names
from beam_s3box.jobs.read.csv.sniff import SNIFFED_CHARACTERS, sniff
from beam_s3box.jobs.read.csv.text import CsvRows


class Layout(NamedTuple):
    """What the beginning of a file shows.

    Attributes:
      names: of the columns; none for a file without rows.
      delimiter: between values.
      lines: before the first row of values.
      rest: the lines from there on.
    """

    names: Sequence[str]
    delimiter: str
    lines: int
    rest: Iterator[str]


def layout_of(lines: Iterator[str], path: str, dialect: CsvDialect, max_characters: int) -> Layout:
    """Return how a file begins.

    Args:
      lines: all of the file.
      path: of the file.
      dialect: how it is written.
      max_characters: of a value.

    Raises:
      ConfigurationError: the columns have no names of their own, the delimiter is not clear, or this is not CSV.
    """
    head, is_whole = _head_of(lines)
    skipped, delimiter = sniff(head, is_whole, path, dialect)
    rest = itertools.chain(head[skipped:], lines)
    rows = CsvRows(rest, skipped, path, dialect, delimiter, max_characters)
    first = next(iter(rows), None)
    if first is None:
        return Layout((), delimiter, rows.lines, rest)
    names = column_names(first.values, path, dialect)
    if dialect.has_header:
        return Layout(names, delimiter, rows.lines, rest)
    return Layout(names, delimiter, first.line - 1, itertools.chain(rows.taken, rest))


def _head_of(lines: Iterator[str]) -> tuple[list[str], bool]:
    """Return the first lines, and whether these are all."""
    head, characters = [], 0
    for line in lines:
        head.append(line)
        characters += len(line)
        if characters >= SNIFFED_CHARACTERS:
            return head, False
    return head, True
