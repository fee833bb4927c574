"""Reads files of records: JSON lines in batches of lines, other formats through Beam's own IO."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.io import fileio
from apache_beam.io.filesystem import BeamIOError, FileMetadata
from apache_beam.io.filesystems import FileSystems

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.read.input_files import InputFile, S3Access, find_version, opened, s3_access_of
from beam_s3box.jobs.read.rows import ReadRows, RowOptions
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.lines import (
    BATCH_BYTES,
    BYTE_ORDER_MARK,
    MAX_UNLIMITED_LINE_BYTES,
    READ_BYTES,
    gunzip,
    is_gzip,
    plain_blocks,
)
from beam_s3box.records.lines import format_of as format_of
from beam_s3box.records.lines import split_lines as split_lines
from beam_s3box.sizes import KiB, MiB

INPUT_FORMATS = ("auto", "jsonl", "csv", "parquet", "avro")
"""What can be read; `auto` goes by the file's extension."""

_SPLIT_BYTES = 8 * MiB
"""Bytes of a file that one worker reads at a time; compressed files can't be split."""

_READ_BYTES = READ_BYTES
_BATCH_BYTES = BATCH_BYTES
_TAIL_BYTES = 64 * KiB
"""Bytes that are read at a time beyond a range, to find the end of its last line."""


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
      start, stop: bytes; `stop` is -1 for a file that is read whole, as a small or a compressed one.
      version: of the file, so that all its ranges are of one; empty for the one that is there when it is read.
    """

    path: str
    start: int
    stop: int
    version: str = ""


class ReadJsonLines(beam.PTransform):
    """Reads lines of JSON, plain or gzip, in batches; blank lines are no records.

    Takes a PCollection of FileMetadata. Plain files are split into ranges that workers share.

    *Guarantees*: each line of each file is read. A file that is replaced or changed while it is read fails the bundle
    with its name.

    Args:
      max_line_bytes: of a longer line only the beginning is read, which the write refuses, see
        `beam_s3box.records.lines.split_lines`.
    """

    def __init__(self, max_line_bytes: int = MAX_UNLIMITED_LINE_BYTES) -> None:
        super().__init__()
        self._max_line_bytes = max_line_bytes

    def expand(self, files: beam.PCollection) -> beam.PCollection[LineBatch]:
        """Return the lines."""
        access = s3_access_of(files.pipeline.options)
        read = _ReadLines(self._max_line_bytes, access)
        return (
            files
            | "SplitFiles" >> beam.ParDo(_SplitFile(access)).with_output_types(tuple[tuple[str, int], tuple[int, str]])
            | "SpreadRanges" >> beam.GroupByKey()
            | "ReadLines" >> beam.ParDo(read).with_output_types(Any)
        )


class _SplitFile(beam.DoFn):
    """Yields the ranges of a file as ((path, start), rest): keyed, so that a GroupByKey spreads them over workers."""

    def __init__(self, access: S3Access) -> None:
        self._access = access

    def process(self, file: FileMetadata) -> Iterator[tuple[tuple[str, int], tuple[int, str]]]:
        for part in ranges_of(file.path, file.size_in_bytes, self._access):
            yield (part.path, part.start), (part.stop, part.version)


def ranges_of(path: str, size: int, access: S3Access) -> Iterator[FileRange]:
    """Yield the ranges of a file that workers share, all of one version; a small or compressed one is read whole."""
    if not size:
        return
    if is_gzip(path) or size <= _SPLIT_BYTES:
        yield FileRange(path, 0, -1)
        return
    version = find_version(path, size, access)
    for start in range(0, version.size, _SPLIT_BYTES):
        yield FileRange(path, start, min(start + _SPLIT_BYTES, version.size), version.name)


def read_lines(
    part: FileRange, access: S3Access, max_line_bytes: int = MAX_UNLIMITED_LINE_BYTES
) -> Iterator[LineBatch]:
    """Yield the lines that begin in a range of a file, in batches, without line breaks and blank lines.

    Raises:
      ConfigurationError: the file is not the one that was found, changed meanwhile, ends too soon, or is not the gzip
        it is called.
    """
    with opened(part.path, access, part.version) as file:
        if part.stop >= 0:
            blocks = _blocks(file, part, max_line_bytes)
        else:
            blocks = gunzip(file, part.path, _READ_BYTES) if is_gzip(part.path) else plain_blocks(file, _READ_BYTES)
        yield from split_lines(blocks, _BATCH_BYTES, max_line_bytes, part.path, part.start)


class _ReadLines(beam.DoFn):
    def __init__(self, max_line_bytes: int, access: S3Access) -> None:
        self._max_line_bytes = max_line_bytes
        self._access = access

    def process(self, element: tuple[tuple[str, int], Iterable[tuple[int, str]]]) -> Iterator[LineBatch]:
        for part in _ranges(element):
            yield from read_lines(part, self._access, self._max_line_bytes)


def _ranges(element: tuple[tuple[str, int], Iterable[tuple[int, str]]]) -> Iterator[FileRange]:
    """Yield the ranges of one key: one, or as many as a path was matched."""
    (path, start), rests = element
    return (FileRange(path, start, stop, version) for stop, version in rests)


def _blocks(file: InputFile, part: FileRange, max_line_bytes: int) -> Iterator[bytes]:
    """Yield the text of the lines that begin in the range: from the first line start to the end of the last line."""
    # a line that begins exactly at the start is ours, so look at the byte before it
    position = max(0, part.start - 1)
    file.seek(position)
    is_ours, last = part.start == 0, b""
    while position < part.stop:
        block = file.read(min(_READ_BYTES, part.stop - position))
        if not block:
            raise ConfigurationError(f"input={part.path!r} ends at byte {position}, before {part.stop}: it was changed")
        is_first, position = position == 0, position + len(block)
        if is_first:
            block = block.removeprefix(BYTE_ORDER_MARK)
        if not is_ours:
            # what another range begins ends here or, if the line is longer than this range, behind it
            _, line_break, block = block.partition(b"\n")
            is_ours = bool(line_break)
        if is_ours and block:
            last = block[-1:]
            yield block
    if last not in (b"", b"\n"):
        yield from _rest_of_line(file, max_line_bytes)


def _rest_of_line(file: InputFile, max_line_bytes: int) -> Iterator[bytes]:
    """Yield the text up to the next line break; no more than shows that the line is too long."""
    position = 0
    while position <= max_line_bytes and (block := file.read(_TAIL_BYTES)):
        text, is_end, _ = block.partition(b"\n")
        yield text
        if is_end:
            return
        position += len(block)


class ReadRecords(beam.PTransform):
    """Reads the records of files: batches of JSON lines, rows of CSV, Parquet and Avro as mappings.

    A file that several patterns match is read once. Values of CSV stay text, as they stand in the file.

    Args:
      patterns: paths and globs, local or `s3://`.
      input_format: one of `INPUT_FORMATS`.
      max_line_bytes: of lines of JSON, see `ReadJsonLines`.
      rows: how files of rows are read.
    """

    def __init__(
        self,
        patterns: Sequence[str],
        input_format: str = "auto",
        max_line_bytes: int = MAX_UNLIMITED_LINE_BYTES,
        rows: RowOptions | None = None,
    ) -> None:
        super().__init__()
        self._max_line_bytes = max_line_bytes
        self._rows = rows or RowOptions()
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
            return files | "ReadFiles" >> self._read_format(self._formats[0])
        by_format = files | "ByFormat" >> beam.ParDo(_ByFormat(self._input_format)).with_outputs(*self._formats)
        read = [by_format[name] | f"Read{name.title()}" >> self._read_format(name) for name in self._formats]
        return read | "AllFormats" >> beam.Flatten()

    def _read_format(self, name: str) -> beam.PTransform:
        return ReadJsonLines(self._max_line_bytes) if name == "jsonl" else ReadRows(name, self._rows)


def _formats_of_pattern(pattern: str, input_format: str) -> Sequence[str]:
    """Return the formats that files which match the pattern may have."""
    if input_format != "auto":
        return (input_format,)
    extension = os.path.splitext(pattern.lower().removesuffix(".gz"))[1]
    is_open = any(character in "*?[]{}/\\" for character in extension) or (not extension and "*" in pattern)
    return INPUT_FORMATS[1:] if is_open else (format_of(pattern, input_format),)


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
