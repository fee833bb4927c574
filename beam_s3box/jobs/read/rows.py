"""Reads files of rows: CSV, Parquet and Avro."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable, Iterator
from typing import Any

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.read.input_files import InputFile
from beam_s3box.records.contents import Contents
from beam_s3box.records.lines import MAX_LINE_BYTES


def read_rows(contents: Contents, file: InputFile, path: str) -> Iterator[Any]:
    """Yield the rows of a file by the names of their columns.

    Raises:
      ConfigurationError: it is not what it begins as.
    """
    if contents.kind == "csv":
        try:
            yield from _csv_rows(_text_lines(contents.blocks))
        except (csv.Error, UnicodeDecodeError) as exc:
            raise ConfigurationError(f"input={path!r} is not valid CSV in UTF-8: {exc}") from exc
    elif contents.kind == "parquet":
        import pyarrow.parquet

        file.seek(0)
        for batch in pyarrow.parquet.ParquetFile(file).iter_batches():
            yield from batch.to_pylist()
    else:
        import fastavro

        file.seek(0)
        yield from fastavro.reader(file)  # type: ignore[arg-type]


def _text_lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of a text in UTF-8 with their line breaks, as the csv module takes them.

    Raises:
      csv.Error: a line that is longer than any sensible row.
    """
    decoder, begun, size = codecs.getincrementaldecoder("utf-8")(), [""], 0
    for block in blocks:
        first, *lines = decoder.decode(block).split("\n")
        begun.append(first)
        size += len(first)
        if size > MAX_LINE_BYTES:
            raise csv.Error(f"a line of more than {MAX_LINE_BYTES} characters")
        if lines:
            yield "".join(begun) + "\n"
            begun = [lines.pop()]
            size = len(begun[0])
            yield from (f"{line}\n" for line in lines)
    rest = "".join(begun) + decoder.decode(b"", final=True)
    if rest:
        yield rest


def _csv_rows(text: Iterable[str]) -> Iterator[dict[str, str] | list[str]]:
    """Yield rows by the names in the first line; one of another length as a plain list, which ends as a dead letter."""
    rows = csv.reader(text, strict=True)
    names = next(rows, [])
    for values in rows:
        if values:
            yield dict(zip(names, values, strict=True)) if len(values) == len(names) else values
