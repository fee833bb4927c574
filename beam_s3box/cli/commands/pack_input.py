"""Lines from standard input or from files, read so that a signal never cuts one in two."""

from __future__ import annotations

import contextlib
import glob
import os
import sys
from collections.abc import Iterator, Sequence

from beam_s3box.cli.console.interrupts import Interrupts
from beam_s3box.errors import ConfigurationError
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.lines import format_of, gunzip, is_gzip, plain_blocks, split_lines
from beam_s3box.system.local_files import unchanged

_STDIN = "standard input"


class ReadingStopped(Exception):
    """The command was asked to end; what was not read yet stays where it is: names the file."""


def find_local_files(patterns: Sequence[str]) -> list[str]:
    """Return the files that the patterns match, each once, by path.

    Raises:
      ConfigurationError: a pattern matches nothing, or what is no local, readable file of JSON lines.
    """
    found = {path for pattern in patterns for path in _matches(pattern)}
    for path in sorted(found):
        _check_file(path)
    return sorted(found)


def check_standard_input() -> None:
    """Raise ConfigurationError if nothing is piped in."""
    if sys.stdin is None or sys.stdin.isatty():
        raise ConfigurationError(
            "--input is missing, and nothing is piped in: give files, as --input='data/*.jsonl', or records on "
            "standard input"
        )


def read_batches(files: Sequence[str], interrupts: Interrupts, max_line_bytes: int) -> Iterator[LineBatch]:
    """Yield lines in batches, of standard input where there are no files.

    Args:
      files: paths.
      interrupts: may end the reading.
      max_line_bytes: of a longer line only the beginning is read, see `beam_s3box.records.lines.split_lines`.

    Raises:
      ReadingStopped: the first signal; lines that were not yielded are not taken.
      ConfigurationError: a file can't be read, is not the gzip it is called, or changed while it was read.
    """
    for number, path in enumerate(files or [_STDIN], 1):
        where = f"{path}, file {number} of {len(files)}" if files else path
        with _open(path) if files else contextlib.nullcontext(sys.stdin.fileno()) as descriptor:
            file = _Descriptor(descriptor, path, where, interrupts)
            blocks = gunzip(file, path) if is_gzip(path) else plain_blocks(file)
            with unchanged(path, descriptor):
                for batch in split_lines(blocks, max_line_bytes=max_line_bytes, source=path):
                    if interrupts.asked:
                        raise ReadingStopped(where)
                    yield batch


class _Descriptor:
    """Reads what is there, and waits for nothing once the command was asked to end."""

    def __init__(self, descriptor: int, path: str, where: str, interrupts: Interrupts) -> None:
        self._descriptor = descriptor
        self._path = path
        self._where = where
        self._interrupts = interrupts

    def read(self, size: int, /) -> bytes:
        """Return at most that many bytes, none at the end.

        Raises:
          ReadingStopped: the first signal.
          ConfigurationError: it can't be read.
        """
        if not self._interrupts.readable(self._descriptor):
            raise ReadingStopped(self._where)
        try:
            return os.read(self._descriptor, size)
        except OSError as exc:
            raise _unreadable(self._path, exc) from exc


@contextlib.contextmanager
def _open(path: str) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as exc:
        raise _unreadable(path, exc) from exc
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _matches(pattern: str) -> list[str]:
    if pattern.startswith("s3://"):
        raise ConfigurationError(
            f"--input={pattern!r} must be local: pipe it in, as with `aws s3 cp {pattern} -`, or use "
            "python -m pipelines.backfill, which reads s3://"
        )
    found = [pattern] if os.path.exists(pattern) else glob.glob(pattern, recursive=True)
    if not found:
        raise ConfigurationError(
            f"--input={pattern!r} matches no file: correct the path, or quote a pattern in the shell"
        )
    return found


def _check_file(path: str) -> None:
    if os.path.isdir(path) or not os.access(path, os.R_OK):
        raise ConfigurationError(f"--input: {path!r} can't be read: it is no file, or its permissions forbid it")
    format = format_of(path, "auto")
    if format != "jsonl":
        raise ConfigurationError(
            f"--input: {path!r} is {format}, and this packs JSON lines: use python -m pipelines.backfill for it"
        )


def _unreadable(path: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"input={path!r} can't be read: {error.strerror}")
