"""Reads files of rows, CSV, Parquet and Avro, as batches of lines of JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

from beam_s3box.jobs.read.avro.reader import read_avro
from beam_s3box.jobs.read.csv.dialect import CsvDialect
from beam_s3box.jobs.read.csv.reader import read_csv
from beam_s3box.jobs.read.input_files import InputFile
from beam_s3box.jobs.read.parquet.reader import read_parquet
from beam_s3box.jobs.read.row_batches import ReadRow
from beam_s3box.records.contents import Contents
from beam_s3box.records.lines import MAX_LINE_BYTES


class RowOptions(NamedTuple):
    """How files of rows are read.

    Attributes:
      csv: how CSV files are written.
      max_characters: of a value, and of a line, of CSV.
    """

    csv: CsvDialect = CsvDialect()
    max_characters: int = MAX_LINE_BYTES


def read_rows(contents: Contents, file: InputFile, path: str, options: RowOptions) -> Iterator[ReadRow]:
    """Return the rows of a file; those that can't be lines of JSON as rejected rows.

    Args:
      contents: of the file.
      file: the same, open.
      path: of the file.
      options: say more.

    Raises:
      ConfigurationError: the file can't be read; says its name, where and why.
    """
    if contents.kind == "parquet":
        return read_parquet(file, path)
    if contents.kind == "avro":
        return read_avro(contents.blocks, path)
    # text with a byte order mark comes in UTF-8 already
    dialect = dataclasses.replace(options.csv, encoding="utf-8") if contents.encoding else options.csv
    return read_csv(contents.blocks, path, dialect, options.max_characters)
