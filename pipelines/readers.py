"""Reads files of records: JSON lines in batches of lines, other formats through Beam's own IO."""

from __future__ import annotations

import codecs
import csv
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import apache_beam as beam
from apache_beam.io import fileio
from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata
from apache_beam.io.filesystems import FileSystems
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.typehints import List as BeamList

from beam_s3box.errors import ConfigurationError
from beam_s3box.lines import BATCH_BYTES, BYTE_ORDER_MARK, READ_BYTES, gunzip, is_gzip
from beam_s3box.lines import format_of as format_of
from beam_s3box.lines import split_lines as split_lines
from beam_s3box.sizes import MiB

INPUT_FORMATS = ("auto", "jsonl", "csv", "parquet", "avro")
"""What can be read; `auto` goes by the file's extension."""

_SPLIT_BYTES = 8 * MiB
"""Bytes of a file that one worker reads at a time; compressed files can't be split."""

_READ_BYTES = READ_BYTES
_BATCH_BYTES = BATCH_BYTES


def find_files(patterns: Sequence[str]) -> list[FileMetadata]:
    """Return the files that the patterns match, each once, by path.

    Raises:
      ConfigurationError: a pattern matches nothing or can't be read.
    """
    try:
        results = FileSystems.match(list(patterns))
    except (BeamIOError, ValueError) as exc:
        raise ConfigurationError(f"input can't be read: {exc}") from exc
    for pattern, result in zip(patterns, results, strict=True):
        if not result.metadata_list:
            raise ConfigurationError(
                f"input={pattern!r} matches no file: correct the path, or quote a pattern in the shell"
            )
    found = {file.path: file for result in results for file in result.metadata_list}
    return [found[path] for path in sorted(found)]


class FileRange(NamedTuple):
    """A part of a file: the lines that begin in it.

    Attributes:
      path: of the file.
      start, stop: bytes; `stop` is -1 for a compressed file, which is read whole.
    """

    path: str
    start: int
    stop: int


class ReadJsonLines(beam.PTransform):
    """Reads lines of JSON, plain or gzip, in batches; blank lines are no records.

    Takes a PCollection of FileMetadata. Plain files are split into ranges that workers share.
    """

    def expand(self, files: beam.PCollection) -> beam.PCollection[bytes]:
        """Return the lines, without line breaks."""
        # this runner alone knows no batches
        one_by_one = isinstance(files.pipeline.runner, BundleBasedDirectRunner)
        read = _ReadLinesOneByOne() if one_by_one else _ReadLines()
        return (
            files
            | "SplitFiles" >> beam.ParDo(_SplitFile()).with_output_types(tuple[tuple[str, int], int])
            | "SpreadRanges" >> beam.GroupByKey()
            | "ReadLines" >> beam.ParDo(read).with_output_types(bytes)
        )


class _SplitFile(beam.DoFn):
    """Yields the ranges of a file as ((path, start), stop): keyed, so that a GroupByKey spreads them over workers."""

    def process(self, file: FileMetadata) -> Iterator[tuple[tuple[str, int], int]]:
        for part in ranges_of(file.path, file.size_in_bytes):
            yield (part.path, part.start), part.stop


def ranges_of(path: str, size: int) -> Iterator[FileRange]:
    """Yield the ranges of a file that workers share; a compressed one is read whole."""
    if is_gzip(path):
        yield FileRange(path, 0, -1)
        return
    for start in range(0, size, _SPLIT_BYTES):
        yield FileRange(path, start, min(start + _SPLIT_BYTES, size))


def read_lines(part: FileRange) -> Iterator[list[bytes]]:
    """Yield the lines that begin in a range of a file, in batches, without line breaks and blank lines."""
    with _open(part.path) as file:
        blocks = gunzip(file, part.path, _READ_BYTES) if part.stop < 0 else _blocks(file, part)
        yield from split_lines(blocks, _BATCH_BYTES)


class _ReadLines(beam.DoFn):
    @beam.DoFn.yields_batches
    def process(self, element: tuple[tuple[str, int], Iterable[int]]) -> Iterator[list[bytes]]:
        return itertools.chain.from_iterable(map(read_lines, _ranges(element)))

    def get_output_batch_type(self, input_element_type: Any) -> Any:
        """Return the type of batches; Beam can't read it off an annotation that is text."""
        return BeamList[bytes]

    def infer_output_type(self, input_type: Any) -> Any:
        """Return the type of elements, for the same reason."""
        return bytes


class _ReadLinesOneByOne(beam.DoFn):
    def process(self, element: tuple[tuple[str, int], Iterable[int]]) -> Iterator[bytes]:
        for part in _ranges(element):
            yield from itertools.chain.from_iterable(read_lines(part))


def _ranges(element: tuple[tuple[str, int], Iterable[int]]) -> Iterator[FileRange]:
    """Yield the ranges of one key: one, or as many as a path was matched."""
    (path, start), stops = element
    return (FileRange(path, start, stop) for stop in stops)


def _blocks(file: BinaryIO, part: FileRange) -> Iterator[bytes]:
    """Yield the text of the lines that begin in the range: from the first line start to the end of the last line."""
    start = part.start
    if start:
        # a line that begins exactly at the start is ours, so look at the byte before it
        file.seek(start - 1)
        start += len(file.readline()) - 1
    first = start == 0
    while start < part.stop:
        block = file.read(min(_READ_BYTES, part.stop - start))
        if not block:
            return
        start += len(block)
        if start >= part.stop and not block.endswith(b"\n"):
            block += file.readline()
        yield block.removeprefix(BYTE_ORDER_MARK) if first else block
        first = False


def _open(path: str) -> BinaryIO:
    return FileSystems.open(path, "application/octet-stream", CompressionTypes.UNCOMPRESSED)  # type: ignore[no-any-return]


class ReadRecords(beam.PTransform):
    """Reads the records of files: JSON lines as bytes, rows of CSV, Parquet and Avro as mappings.

    A file that several patterns match is read once. Values of CSV stay text, as they stand in the file.

    Args:
      patterns: paths and globs, local or `s3://`.
      input_format: one of `INPUT_FORMATS`.
    """

    def __init__(self, patterns: Sequence[str], input_format: str = "auto") -> None:
        super().__init__()
        if input_format not in INPUT_FORMATS:
            known = ", ".join(INPUT_FORMATS)
            raise ConfigurationError(f"input_format={input_format!r} is not known; known are {known}")
        self._patterns = list(dict.fromkeys(patterns))
        self._input_format = input_format
        self._formats = sorted({name for pattern in patterns for name in _formats_of_pattern(pattern, input_format)})

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[Any]:
        """Return the records."""
        files = begin | "FindFiles" >> _FindFiles(self._patterns)
        if len(self._formats) == 1:
            return files | "ReadFiles" >> _read_format(self._formats[0])
        by_format = files | "ByFormat" >> beam.ParDo(_ByFormat(self._input_format)).with_outputs(*self._formats)
        read = [by_format[name] | f"Read{name.title()}" >> _read_format(name) for name in self._formats]
        return read | "AllFormats" >> beam.Flatten()


def _formats_of_pattern(pattern: str, input_format: str) -> Sequence[str]:
    """Return the formats that files which match the pattern may have."""
    if input_format != "auto":
        return (input_format,)
    extension = os.path.splitext(pattern.lower().removesuffix(".gz"))[1]
    is_open = any(character in "*?[]{}/\\" for character in extension) or (not extension and "*" in pattern)
    return INPUT_FORMATS[1:] if is_open else (format_of(pattern, input_format),)


def _read_format(name: str) -> beam.PTransform:
    return ReadJsonLines() if name == "jsonl" else _ReadRows(name)


class _FindFiles(beam.PTransform):
    def __init__(self, patterns: Sequence[str]) -> None:
        super().__init__()
        self._patterns = patterns

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[FileMetadata]:
        files = (
            begin
            | "Patterns" >> beam.Create(self._patterns)
            | "MatchFiles" >> fileio.MatchAll(fileio.EmptyMatchTreatment.DISALLOW)
        )
        return files if len(self._patterns) == 1 else files | "EachFileOnce" >> _EachFileOnce()


class _ByFormat(beam.DoFn):
    def __init__(self, input_format: str) -> None:
        self._input_format = input_format

    def process(self, file: FileMetadata) -> Iterator[beam.pvalue.TaggedOutput]:
        yield beam.pvalue.TaggedOutput(format_of(file.path, self._input_format), file)


class _EachFileOnce(beam.PTransform):
    def expand(self, files: beam.PCollection) -> beam.PCollection[FileMetadata]:
        return (
            files
            | "KeyByPath" >> beam.ParDo(_KeyByPath()).with_output_types(tuple[str, FileMetadata])
            | "GroupByPath" >> beam.GroupByKey()
            | "FirstOfPath" >> beam.ParDo(_FirstOfPath()).with_output_types(FileMetadata)
        )


class _KeyByPath(beam.DoFn):
    def process(self, file: FileMetadata) -> Iterator[tuple[str, FileMetadata]]:
        yield file.path, file


class _FirstOfPath(beam.DoFn):
    def process(self, element: tuple[str, Iterable[FileMetadata]]) -> Iterator[FileMetadata]:
        yield next(iter(element[1]))


class _ReadRows(beam.PTransform):
    """Reads CSV, Parquet or Avro files through Beam's own IO."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def expand(self, files: beam.PCollection) -> beam.PCollection[dict[str, Any]]:
        paths = files | "Paths" >> beam.ParDo(_PathOf()).with_output_types(str)
        if self._name == "parquet":
            return paths | "ReadParquet" >> beam.io.ReadAllFromParquet()
        if self._name == "avro":
            return paths | "ReadAvro" >> beam.io.ReadAllFromAvro()
        return files | "SpreadFiles" >> beam.Reshuffle() | "ReadCsv" >> beam.ParDo(_ReadCsv()).with_output_types(Any)


class _PathOf(beam.DoFn):
    def process(self, file: FileMetadata) -> Iterator[str]:
        yield file.path


class _ReadCsv(beam.DoFn):
    def process(self, file: FileMetadata) -> Iterator[dict[str, str] | list[str]]:
        path = file.path
        # Beam's file IO, but not its pandas reader: that guesses types, and turns 007 into 7 and NA into nothing
        with _open(path) as raw:
            blocks = gunzip(raw, path, _READ_BYTES) if is_gzip(path) else iter(lambda: raw.read(_READ_BYTES), b"")
            try:
                yield from _csv_rows(_text_lines(blocks))
            except (csv.Error, UnicodeDecodeError) as exc:
                raise ConfigurationError(f"input={path!r} is not valid CSV in UTF-8: {exc}") from exc


def _text_lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of a text in UTF-8 with their line breaks, as the csv module takes them."""
    decoder, rest = codecs.getincrementaldecoder("utf-8-sig")(), ""
    for block in blocks:
        lines = (rest + decoder.decode(block)).split("\n")
        rest = lines.pop()
        yield from (f"{line}\n" for line in lines)
    rest += decoder.decode(b"", final=True)
    if rest:
        yield rest


def _csv_rows(text: Iterable[str]) -> Iterator[dict[str, str] | list[str]]:
    """Yield rows by the names in the first line; one of another length as a plain list, which ends as a dead letter."""
    rows = csv.reader(text, strict=True)
    names = next(rows, [])
    for values in rows:
        if values:
            yield dict(zip(names, values, strict=True)) if len(values) == len(names) else values
