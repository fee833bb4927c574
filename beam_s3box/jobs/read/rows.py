"""Reads files of rows, CSV, Parquet and Avro, as batches of lines of JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from beam_s3box.jobs.read.avro.reader import read_avro
from beam_s3box.jobs.read.csv.dialect import CsvDialect
from beam_s3box.jobs.read.csv.reader import read_csv
from beam_s3box.jobs.read.parquet.reader import read_parquet, split_parquet
from beam_s3box.jobs.read.row_batches import ReadColumns
from beam_s3box.jobs.read.seekable import SizedFile
from beam_s3box.records.lines import MAX_LINE_BYTES


class RowOptions(NamedTuple):
    """How files of rows are read.

    Attributes:
      csv: how CSV files are written.
      max_characters: of a value, and of a line, of CSV.
      by_columns: whether many rows of CSV and Parquet may be read together; one by one they are the same.
    """

    csv: CsvDialect = CsvDialect()
    max_characters: int = MAX_LINE_BYTES
    by_columns: bool = True


_WHOLE = (0, -1)
_DEFAULT = RowOptions()


def split_rows(kind: str, file: SizedFile, path: str) -> Iterator[tuple[int, int]]:
    """Yield the parts of a file that workers share, for `read_rows`: row groups of Parquet; other files are whole.

    Raises:
      ConfigurationError: the file can't be read; says its name and why.
    """
    if kind == "parquet":
        yield from split_parquet(file, path)
    else:
        yield _WHOLE


def read_rows(
    kind: str,
    file: SizedFile,
    path: str,
    blocks: Iterator[bytes],
    options: RowOptions = _DEFAULT,
    part: tuple[int, int] = _WHOLE,
) -> Iterator[ReadColumns]:
    """Return the rows of a file, by columns where that is possible; those that can't be JSON as rejected rows.

    Args:
      kind: `csv`, `parquet` or `avro`.
      file: for Parquet.
      path: of the file.
      blocks: bytes of CSV and Avro, uncompressed.
      options: say more.
      part: as `split_rows` gave it.

    Raises:
      ConfigurationError: the file can't be read; says its name, where and why.
    """
    if kind == "parquet":
        return read_parquet(file, path, *part, by_columns=options.by_columns)
    if kind == "avro":
        return read_avro(blocks, path)
    return read_csv(blocks, path, options.csv, options.max_characters, by_columns=options.by_columns)
