"""Reads files of records: each by what its first bytes say it is, large ones in parts that workers share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import apache_beam as beam

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.read.find import FoundInput, find_input
from beam_s3box.jobs.read.input_files import InputFile, S3Access, find_version, opened, s3_access_of
from beam_s3box.jobs.read.rows import RowOptions, read_rows
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.contents import HEAD_BYTES, JSON_KINDS, KINDS, contents_of, json_batches, kind_by_name
from beam_s3box.records.lines import BATCH_BYTES, BYTE_ORDER_MARK, MAX_UNLIMITED_LINE_BYTES, split_lines
from beam_s3box.records.unpack import READ_BYTES
from beam_s3box.sizes import KiB, MiB

INPUT_FORMATS = ("auto", *KINDS)
"""What can be read; `auto` goes by the file's first bytes and by its extension."""

_SPLIT_BYTES = 8 * MiB
"""Bytes of a file that one worker reads at a time; only plain lines can be split."""

_READ_BYTES = READ_BYTES
_BATCH_BYTES = BATCH_BYTES
_TAIL_BYTES = 64 * KiB
"""Bytes that are read at a time beyond a range, to find the end of its last line."""


class Reading(NamedTuple):
    """How files are read.

    Attributes:
      access: to objects.
      input_format: one of `INPUT_FORMATS`.
      max_line_bytes: of a longer line only the beginning is read, which the write refuses, see
        `beam_s3box.records.lines.split_lines`.
      rows: how files of rows are read.
    """

    access: S3Access
    input_format: str = "auto"
    max_line_bytes: int = MAX_UNLIMITED_LINE_BYTES
    rows: RowOptions = RowOptions()


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


_Spread: TypeAlias = tuple[tuple[str, int], tuple[int, str]]
"""A range as ((path, start), rest): keyed, so that a GroupByKey spreads them over workers."""


class ReadRecords(beam.PTransform):
    """Reads the records of files: batches of JSON lines, rows of CSV, Parquet and Avro as such lines as well.

    A file that several patterns match is read once. Values of CSV stay text, as they stand in the file.

    *Guarantees*: each record of each file is read, blank lines are none. A file that is replaced or changed
    after it was found fails the bundle with its name.

    Args:
      patterns: paths and globs, local or `s3://`.
      input_format: one of `INPUT_FORMATS`.
      max_line_bytes: of lines of JSON, see `Reading`.
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
        if input_format not in INPUT_FORMATS:
            known = ", ".join(INPUT_FORMATS)
            raise ConfigurationError(f"input_format={input_format!r} is not known; known are {known}")
        self._patterns = list(dict.fromkeys(patterns))
        self._input_format = input_format
        self._max_line_bytes = max_line_bytes
        self._rows = rows or RowOptions()

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[Any]:
        """Return the records."""
        access = s3_access_of(begin.pipeline.options)
        reading = Reading(access, self._input_format, self._max_line_bytes, self._rows)
        return (
            begin
            | "Patterns" >> beam.Create([self._patterns], reshuffle=False)
            | "FindFiles" >> beam.ParDo(_FindFiles(reading.access)).with_output_types(tuple[str, int, str, float])
            | "SplitFiles" >> beam.ParDo(_SplitFile(reading)).with_output_types(_Spread)
            | "SpreadRanges" >> beam.GroupByKey()
            | "ReadFiles" >> beam.ParDo(_ReadFiles(reading)).with_output_types(Any)
        )


class _FindFiles(beam.DoFn):
    def __init__(self, access: S3Access) -> None:
        self._access = access

    def process(self, patterns: list[str]) -> Iterator[tuple[str, int, str, float]]:
        for file in find_input(patterns, self._access):
            yield file.path, file.size, file.version, file.changed


class _SplitFile(beam.DoFn):
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def process(self, file: tuple[str, int, str, float]) -> Iterator[_Spread]:
        for part in ranges_of(FoundInput(*file), self._reading):
            yield (part.path, part.start), (part.stop, part.version)


class _ReadFiles(beam.DoFn):
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def process(self, element: tuple[tuple[str, int], Iterable[tuple[int, str]]]) -> Iterator[Any]:
        (path, start), rests = element
        for stop, version in rests:
            yield from read_part(FileRange(path, start, stop, version), self._reading)


def ranges_of(file: FoundInput, reading: Reading) -> Iterator[FileRange]:
    """Yield the ranges of a file that workers share, all of one version; what can't be split is read whole.

    Raises:
      ConfigurationError: a file without a byte, where its format has some; or as `contents_of`.
    """
    path, size, version, _ = file
    if not size:
        check_may_be_empty(path, reading.input_format)
        return
    if size <= _SPLIT_BYTES or not _is_split(file, reading):
        yield FileRange(path, 0, -1, version)
        return
    if not version:
        version, size = find_version(path, size, reading.access)
    for start in range(0, size, _SPLIT_BYTES):
        yield FileRange(path, start, min(start + _SPLIT_BYTES, size), version)


def _is_split(file: FoundInput, reading: Reading) -> bool:
    with opened(file.path, reading.access, file.version) as opened_file:
        contents = contents_of(opened_file, file.path, reading.input_format, HEAD_BYTES)
    return contents.is_plain and contents.kind == "jsonl"


def check_may_be_empty(path: str, input_format: str) -> None:
    """Raise ConfigurationError for a file without a byte, where its format has some."""
    kind = kind_by_name(path) if input_format == "auto" else input_format
    if kind in ("parquet", "avro"):
        raise ConfigurationError(f"input={path!r} has no byte, and {kind.title()} has some: copy it again")


def read_part(part: FileRange, reading: Reading) -> Iterator[Any]:
    """Yield the records of a file, or of those of its lines that begin in a range: batches of lines, or rows.

    Raises:
      ConfigurationError: the file is not the one that was found, changed meanwhile, ends too soon, or is not what it
        begins as.
    """
    with opened(part.path, reading.access, part.version) as file:
        if part.stop >= 0:
            blocks = _blocks(file, part, reading.max_line_bytes)
            yield from split_lines(blocks, _BATCH_BYTES, reading.max_line_bytes, part.path, part.start)
            return
        contents = contents_of(file, part.path, reading.input_format, _READ_BYTES)
        if contents.kind in JSON_KINDS:
            yield from json_batches(contents, part.path, reading.max_line_bytes, _BATCH_BYTES)
        else:
            yield from read_rows(contents, file, part.path, reading.rows)


def read_json(part: FileRange, reading: Reading) -> Iterator[LineBatch]:
    """Yield the records of a file of JSON, as `read_part` does.

    Raises:
      ConfigurationError: it holds rows, or as above.
    """
    for batch in read_part(part, reading):
        if not isinstance(batch, LineBatch):
            raise ConfigurationError(f"input={part.path!r} is no JSON, which this job reads: use s3box backfill for it")
        yield batch


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
