"""Records from standard input or from files, read so that a signal never cuts one in two."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from beam_s3box.cli.console.interrupts import Interrupts
from beam_s3box.errors import ConfigurationError
from beam_s3box.metrics import INPUT_BYTES, Metrics
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.contents import (
    HEAD_BYTES,
    JSON_KINDS,
    Contents,
    contents_of,
    documents_note,
    json_batches,
    skipped_note,
)
from beam_s3box.records.path_columns import columns_of, with_columns
from beam_s3box.records.unpack import READ_BYTES, Readable
from beam_s3box.system.globs import Glob, local_matches, no_match
from beam_s3box.system.local_files import check_permitted, stat_input, unchanged, unreadable_input

_STDIN = "standard input"


class Reading(NamedTuple):
    """How input is read.

    Attributes:
      max_line_bytes: of a longer line only the beginning is read, see `beam_s3box.records.lines.split_lines`.
      input_format: `jsonl`, `json`, or `auto`.
      path_columns: whether columns that stand in the path are taken into the records.
    """

    max_line_bytes: int
    input_format: str = "auto"
    path_columns: bool = False


class ReadingStopped(Exception):
    """The command was asked to end; what was not read yet stays where it is: names the file and what was read of it."""


def find_local_files(
    patterns: Sequence[str], input_format: str = "auto", notify: Callable[[str], None] = lambda text: None
) -> list[str]:
    """Return the files that the patterns match, each once, by path.

    Args:
      patterns: paths and globs.
      input_format: as in `Reading`.
      notify: takes a line about files that are not what their names say, or are left out.

    Raises:
      ConfigurationError: a pattern matches nothing, or something that is not a local, readable file of JSON; or all
        that they match is left out.
    """
    skipped: list[str] = []
    matches = (path for pattern in reversed(patterns) for path in _matches(pattern, skipped.append))
    found = sorted({os.path.abspath(path): path for path in matches}.values())
    skipped.sort()
    if skipped and not found:
        raise ConfigurationError(f"input: {skipped_note(skipped)}")
    if skipped:
        notify(skipped_note(skipped))
    documents = [path for path in found if _kind_of(path, input_format, is_named=path in patterns) == "json"]
    if documents and input_format == "auto":
        notify(documents_note(documents))
    return found


def check_standard_input() -> None:
    """Raise ConfigurationError if nothing is piped in."""
    if sys.stdin is None or sys.stdin.isatty():
        raise ConfigurationError(
            "--input is missing, and nothing is piped in: give files, as --input='data/*.jsonl', or records on "
            "standard input"
        )


def read_batches(
    files: Sequence[str], interrupts: Interrupts, reading: Reading, counts: Metrics
) -> Iterator[LineBatch]:
    """Yield records in batches, of standard input where there are no files.

    Args:
      files: paths.
      interrupts: may end the reading.
      reading: how they are read.
      counts: what is read is counted there.

    Raises:
      ReadingStopped: the first signal; records that were not yielded are not taken.
      ConfigurationError: a file can't be read, is not what it begins as, or changed while it was read.
    """
    for number, path in enumerate(files or [_STDIN], 1):
        where = f"{path}, file {number} of {len(files)}" if files else path
        columns = columns_of(path) if reading.path_columns else {}
        with _open(path) if files else contextlib.nullcontext(sys.stdin.fileno()) as descriptor:
            file = _Descriptor(descriptor, path, interrupts, counts)
            taken = f"{where}, before its first record"
            try:
                with unchanged(path, descriptor):
                    contents = _json_of(file, path, reading.input_format, READ_BYTES)
                    for batch in json_batches(contents, path, reading.max_line_bytes):
                        if interrupts.asked:
                            raise ReadingStopped
                        yield with_columns(batch, columns)
                        what = "line" if contents.kind == "jsonl" else "record"
                        taken = f"{where}, after {what} {batch.numbers[-1]:,}"
            except ReadingStopped as exc:
                raise ReadingStopped(taken) from exc


class _Descriptor:
    """Reads the bytes that are available, and no longer waits for more after a signal."""

    def __init__(self, descriptor: int, path: str, interrupts: Interrupts, counts: Metrics) -> None:
        self._descriptor = descriptor
        self._path = path
        self._interrupts = interrupts
        self._counts = counts

    def read(self, size: int, /) -> bytes:
        """Return at most that many bytes, none at the end.

        Raises:
          ReadingStopped: the first signal.
          ConfigurationError: it can't be read.
        """
        if not self._interrupts.readable(self._descriptor):
            raise ReadingStopped
        try:
            data = os.read(self._descriptor, size)
        except OSError as exc:
            raise _unreadable(self._path, exc) from exc
        self._counts.count(INPUT_BYTES, len(data))
        return data


@contextlib.contextmanager
def _open(path: str) -> Iterator[int]:
    try:
        # a named pipe without a writer would block here, where no signal ends the wait: `readable` waits for one
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as exc:
        raise _unreadable(path, exc) from exc
    try:
        os.set_blocking(descriptor, True)
        yield descriptor
    finally:
        os.close(descriptor)


def _matches(pattern: str, skipped: Callable[[str], None]) -> Iterator[str]:
    if pattern.startswith("s3://"):
        raise ConfigurationError(
            f"--input={pattern!r} must be local: pipe it in, as with `aws s3 cp {pattern} -`, or use s3box backfill, "
            "which reads s3://"
        )
    glob, found = Glob.of(pattern), list(local_matches(pattern))
    if not found:
        raise no_match(pattern, is_folder=os.path.isdir(pattern))
    for path in found:
        if glob.hides(path):
            skipped(path)
        else:
            yield path


def _kind_of(path: str, input_format: str, *, is_named: bool) -> str:
    if not (is_named and _is_pipe(path)):
        _check(path)
    check_permitted(path)
    if not os.path.isfile(path):
        return ""  # what a pipe gives is gone when it was looked at
    with open(path, "rb") as file:
        return _json_of(file, path, input_format, HEAD_BYTES).kind


def _is_pipe(path: str) -> bool:
    """Return whether a path is there and is not a file: a pipe, or a device."""
    return os.path.exists(path) and not os.path.isfile(path)


def _check(path: str) -> None:
    try:
        stat_input(path)
    except FileNotFoundError as exc:
        raise _unreadable(path, exc) from exc


def _json_of(file: Readable, path: str, input_format: str, read_bytes: int) -> Contents:
    contents = contents_of(file, path, input_format, read_bytes)
    if contents.kind not in JSON_KINDS:
        raise ConfigurationError(
            f"--input: {path!r} is {contents.kind}, and this packs JSON: use s3box backfill for it"
        )
    return contents


def _unreadable(path: str, error: OSError) -> ConfigurationError:
    return unreadable_input(path, str(error.strerror))
