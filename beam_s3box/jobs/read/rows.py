"""Reads files of rows: CSV here, Parquet and Avro through Beam's own IO."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystem import FileMetadata

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.read.input_files import S3Access, opened, s3_access_of
from beam_s3box.records.lines import MAX_LINE_BYTES, READ_BYTES, gunzip, is_gzip


class ReadRows(beam.PTransform):
    """Reads CSV, Parquet or Avro files through Beam's own IO."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def expand(self, files: beam.PCollection) -> beam.PCollection[dict[str, Any]]:
        """Return the rows by the names of their columns."""
        paths = files | "Paths" >> beam.ParDo(_PathOf()).with_output_types(str)
        if self._name == "parquet":
            return paths | "ReadParquet" >> beam.io.ReadAllFromParquet()
        if self._name == "avro":
            return paths | "ReadAvro" >> beam.io.ReadAllFromAvro()
        access = s3_access_of(files.pipeline.options)
        return (
            files | "SpreadFiles" >> beam.Reshuffle() | "ReadCsv" >> beam.ParDo(_ReadCsv(access)).with_output_types(Any)
        )


class _PathOf(beam.DoFn):
    def process(self, file: FileMetadata) -> Iterator[str]:
        yield file.path


class _ReadCsv(beam.DoFn):
    def __init__(self, access: S3Access) -> None:
        self._access = access

    def process(self, file: FileMetadata) -> Iterator[dict[str, str] | list[str]]:
        path = file.path
        if not file.size_in_bytes:
            return
        # Beam's file IO, but not its pandas reader: that guesses types, and turns 007 into 7 and NA into nothing
        with opened(path, self._access) as raw:
            blocks = gunzip(raw, path) if is_gzip(path) else iter(lambda: raw.read(READ_BYTES), b"")
            try:
                yield from _csv_rows(_text_lines(blocks))
            except (csv.Error, UnicodeDecodeError) as exc:
                raise ConfigurationError(f"input={path!r} is not valid CSV in UTF-8: {exc}") from exc


def _text_lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of a text in UTF-8 with their line breaks, as the csv module takes them.

    Raises:
      csv.Error: a line that is longer than any sensible row.
    """
    decoder, begun, size = codecs.getincrementaldecoder("utf-8-sig")(), [""], 0
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
