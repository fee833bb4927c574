"""Reads files of records: each by what its first bytes say it is, large ones in parts that workers share."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows, TimestampCombiner

from beam_s3box.cli.options.jobs import INPUT_FORMATS
from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.read.find import FoundInput, find_input
from beam_s3box.jobs.read.input_files import InputFile, S3Access, find_version, is_local, opened, s3_access_of
from beam_s3box.jobs.read.row_batches import ReadColumns, ReadRow, as_lines
from beam_s3box.jobs.read.rows import RowOptions, read_rows, split_rows
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.contents import HEAD_BYTES, JSON_KINDS, check_may_be_empty, contents_of, json_batches
from beam_s3box.records.lines import BATCH_BYTES, BYTE_ORDER_MARK, MAX_UNLIMITED_LINE_BYTES, split_lines
from beam_s3box.records.path_columns import columns_of, with_columns
from beam_s3box.records.rejected_rows import RejectedRow
from beam_s3box.records.unpack import READ_BYTES
from beam_s3box.sizes import KiB, MiB

_SPLIT_BYTES = 8 * MiB
"""Bytes of a file that one worker reads at a time; only plain lines can be split."""

_READ_BYTES = READ_BYTES
_READS_A_REQUEST = 4
"""Each read of an object is a request."""

_BATCH_BYTES = BATCH_BYTES
_TAIL_BYTES = 64 * KiB
"""Bytes that are read at a time beyond a range, to find the end of its last line."""


class Reading(NamedTuple):
    """How files are read.

    Attributes:
      access: to objects.
      input_format: one of `INPUT_FORMATS`.
      max_line_bytes: of a longer line only the beginning is read, which the write rejects, see
        `beam_s3box.records.lines.split_lines`.
      rows: how files of rows are read.
      path_columns: whether columns that stand in the path are taken into the records.
    """

    access: S3Access
    input_format: str = "auto"
    max_line_bytes: int = MAX_UNLIMITED_LINE_BYTES
    rows: RowOptions = RowOptions()
    path_columns: bool = False


class FileRange(NamedTuple):
    """A part of a file.

    Attributes:
      path: of the file.
      start, stop: of lines the bytes in which they begin, of Parquet row groups; `stop` is -1 for a file that is read
        whole, as a small or a compressed one.
      version: of the file, so that all its ranges are of one; empty for the one that exists when it is read.
      size: bytes of the file.
      kind: what it holds; empty where the read itself finds out.
    """

    path: str
    start: int
    stop: int
    version: str = ""
    size: int = 0
    kind: str = ""


_Spread: TypeAlias = tuple[tuple[str, int], tuple[int, str, int, str]]
"""A range as ((path, start), rest): keyed, so that a GroupByKey spreads them over workers."""


class ReadRecords(beam.PTransform):
    """Reads the records of files: JSON, CSV, Parquet and Avro, in batches of lines; rejected rows come alone.

    A file that several patterns match is read once.

    *Guarantees*: each record of each file is read, blank lines are none. A file that is replaced or changed
    after it was found fails the bundle with its name.

    Args:
      patterns: paths and globs, local or `s3://`.
      input_format: one of `INPUT_FORMATS`.
      max_line_bytes: of lines of JSON, see `Reading`.
      rows: how files of rows are read.
      path_columns: whether columns that stand in the path, as `dt=2024-01-01/`, are taken into the records.
    """

    def __init__(
        self,
        patterns: Sequence[str],
        input_format: str = "auto",
        max_line_bytes: int = MAX_UNLIMITED_LINE_BYTES,
        rows: RowOptions | None = None,
        path_columns: bool = False,
    ) -> None:
        super().__init__()
        if input_format not in INPUT_FORMATS:
            known = ", ".join(INPUT_FORMATS)
            raise ConfigurationError(f"input_format={input_format!r} is not known; known are {known}")
        self._patterns = list(dict.fromkeys(patterns))
        self._input_format = input_format
        self._max_line_bytes = max_line_bytes
        self._rows = rows or RowOptions()
        self._path_columns = path_columns

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[Any]:
        """Return the records."""
        access = s3_access_of(begin.pipeline.options)
        reading = Reading(access, self._input_format, self._max_line_bytes, self._rows, self._path_columns)
        return (
            begin
            | "Patterns" >> beam.Create([self._patterns], reshuffle=False)
            | "FindFiles" >> beam.ParDo(_FindFiles(access)).with_output_types(tuple[str, int, str, float])
            | "SplitFiles" >> beam.ParDo(_SplitFile(reading)).with_output_types(_Spread)
            # ranges at the end of time would put the watermark there: on Prism records of any window would be late
            | "RangesFirst" >> beam.WindowInto(GlobalWindows(), timestamp_combiner=TimestampCombiner.OUTPUT_AT_EARLIEST)
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
            yield (part.path, part.start), part[2:]


class _ReadFiles(beam.DoFn):
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def process(self, element: tuple[tuple[str, int], Iterable[tuple[int, str, int, str]]]) -> Iterator[Any]:
        (path, start), ends = element
        for rest in ends:
            yield from read_columns(FileRange(path, start, *rest), self._reading)


def ranges_of(file: FoundInput, reading: Reading) -> Iterator[FileRange]:
    """Yield the ranges of a file that workers share, all of one version; what can't be split is read whole.

    Raises:
      ConfigurationError: a file without a byte, where its format has some; or as `contents_of`.
    """
    path, size, version, _ = file
    if not size:
        check_may_be_empty(path, reading.input_format)
        return
    if size <= _SPLIT_BYTES:
        yield FileRange(path, 0, -1, version, size)
        return
    if not version:
        version, size = find_version(path, size, reading.access)
    whole = FileRange(path, 0, -1, version, size)
    with opened(path, reading.access, version) as opened_file:
        contents = contents_of(opened_file, path, reading.input_format, HEAD_BYTES)
        if contents.kind == "parquet":
            for start, stop in split_rows(contents.kind, _Sized(opened_file, size), path):
                yield whole._replace(start=start, stop=stop, kind=contents.kind)
        elif contents.kind == "jsonl" and contents.is_plain:
            for start in range(0, size, _SPLIT_BYTES):
                yield whole._replace(start=start, stop=min(start + _SPLIT_BYTES, size), kind=contents.kind)
        else:
            yield whole


def read_part(part: FileRange, reading: Reading) -> Iterator[ReadRow]:
    """Yield the records of a file or a part of it: batches of lines, and rejected rows.

    Raises:
      ConfigurationError: the file is not the one that was found, changed meanwhile, ends too soon, or is not what it
        begins as.
    """
    return as_lines(read_columns(part, reading))


def read_columns(part: FileRange, reading: Reading) -> Iterator[ReadColumns]:
    """Yield the records of a file or a part of it as `read_part`, but rows by columns where these are known."""
    fields = columns_of(part.path) if reading.path_columns else {}
    with opened(part.path, reading.access, part.version) as file:
        for batch in _read_opened(file, part, reading):
            if not fields or isinstance(batch, RejectedRow):
                yield batch
            else:
                yield with_columns(batch, fields) if isinstance(batch, LineBatch) else batch.with_first(fields)


def read_opened(file: InputFile, part: FileRange, reading: Reading) -> Generator[ReadRow, None, None]:
    """Yield the records of an open file or a part of it, without the columns in its path, see `read_part`."""
    yield from as_lines(_read_opened(file, part, reading))


def _read_opened(file: InputFile, part: FileRange, reading: Reading) -> Iterator[ReadColumns]:
    if part.kind == "jsonl":
        blocks = _blocks(file, part, reading.max_line_bytes)
        yield from split_lines(blocks, _BATCH_BYTES, reading.max_line_bytes, part.path, part.start)
        return
    if part.kind:
        yield from read_rows(
            part.kind,
            _Sized(file, part.size),
            part.path,
            iter(()),
            reading.rows,
            (part.start, part.stop),
        )
        return
    contents = contents_of(file, part.path, reading.input_format, _read_bytes(part.path))
    if contents.kind in JSON_KINDS:
        yield from json_batches(contents, part.path, reading.max_line_bytes, _BATCH_BYTES)
        return
    options = reading.rows
    if contents.encoding:  # by its mark; the blocks are UTF-8
        options = options._replace(csv=dataclasses.replace(options.csv, encoding="utf-8"))
    yield from read_rows(contents.kind, _Sized(file, part.size), part.path, contents.blocks, options)


class _Sized:
    def __init__(self, file: InputFile, size: int) -> None:
        self.size = size
        self.read = file.read
        self.seek = file.seek


def _read_bytes(path: str) -> int:
    return _READ_BYTES if is_local(path) else _READS_A_REQUEST * _READ_BYTES


def _blocks(file: InputFile, part: FileRange, max_line_bytes: int) -> Iterator[bytes]:
    """Yield the text of the lines that begin in the range: from the first line start to the end of the last line."""
    # a line that begins exactly at the start is ours, so look at the byte before it
    position = max(0, part.start - 1)
    file.seek(position)
    is_ours, last, read_bytes = part.start == 0, b"", _read_bytes(part.path)
    while position < part.stop:
        block = file.read(min(read_bytes, part.stop - position))
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
