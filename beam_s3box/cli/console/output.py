"""Terminals and logs: everything that a command prints is printed here, and output that can't be written fails nothing.

Keys, URLs, names of streams, files, columns and tables, and messages of servers and exceptions come from outside. A
terminal would obey control characters in them (colours, cursor, window title, direction of text), and a line break
would forge a line of a log; so such characters are printed as escapes. Reports in JSON are written elsewhere, exactly.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, TextIO

from beam_s3box import __version__
from beam_s3box.errors import S3BoxError
from beam_s3box.system.printable import printable

_STANDARD: Final = (0, 1, 2)
_CLEAR: Final = "\r\x1b[K"
"""Sends a terminal to the beginning of its line, and empties it."""


def say(*lines: str, error: bool = False) -> None:
    """Print lines, each escaped, to standard output or standard error; what can't be printed is left out."""
    stream = sys.stderr if error else sys.stdout
    if stream is not None:
        _write(stream, "".join(f"{printable(line)}\n" for line in lines))
        _flush(stream)


def say_text(text: str, *, error: bool = False) -> None:
    """Print a text of our own, such as a help or a table, whose line breaks are meant."""
    say(*text.removesuffix("\n").split("\n"), error=error)


def width_of_output(*, error: bool = False) -> int | None:
    """Return the columns of the terminal that standard output, or standard error, is; None if it is none."""
    stream = sys.stderr if error else sys.stdout
    if stream is None or not stream.isatty():
        return None
    return shutil.get_terminal_size().columns


def has_live_lines() -> bool:
    """Return whether standard error is a terminal on which a line can be written again."""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


@contextlib.contextmanager
def live_line() -> Iterator[Callable[[str], None]]:
    """Within the block, let a line on standard error be shown and replaced; what else is printed there goes above it.

    Yields a function that shows a text.
    """
    stream = sys.stderr
    line = _BelowMessages(stream)
    with contextlib.redirect_stderr(line):
        try:
            yield line.show
        finally:
            line.show("")


def say_version() -> None:
    """Print the version of the package, as `--version` asks for it."""
    say(f"beam_s3box {__version__}")


def write_sql(text: str) -> None:
    """Print statements, which are the result of a command: as they are, but escaped where people read them.

    Raises:
      S3BoxError: they can't be written whole. A reader that has read enough and went away is no error.
    """
    stream = sys.stdout
    if stream is None:
        return
    if stream.isatty():
        say_text(text)
        return
    error = _write(stream, f"{text}\n") or _flush(stream)
    if error is not None and error.errno != errno.EPIPE:
        raise S3BoxError(f"standard output can't be written: {error.strerror or error}") from error


@contextlib.contextmanager
def sturdy_output() -> Iterator[None]:
    """Within the block nothing fails because standard output or standard error is closed, full or knows only ASCII."""
    _fill_closed_descriptors()
    out, error = SturdyStream(sys.stdout), SturdyStream(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            yield
        finally:
            out.flush()
            error.flush()


class SturdyStream(io.TextIOBase):
    """Hands on to a stream what it can take, and drops the rest.

    Args:
      stream: None for one that is closed.
    """

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write a text, or leave it out."""
        if self._stream is not None:
            _write(self._stream, text)
        return len(text)

    def flush(self) -> None:
        """Write what waits, or leave it out."""
        if self._stream is not None:
            _flush(self._stream)

    def isatty(self) -> bool:
        """Return whether it ends on a terminal."""
        return self._stream is not None and not self._stream.closed and self._stream.isatty()

    def fileno(self) -> int:
        """Return the descriptor."""
        if self._stream is None:
            raise io.UnsupportedOperation("standard output or standard error is closed")
        return self._stream.fileno()


class _BelowMessages(SturdyStream):
    """Keeps a line at the bottom of a terminal: it is removed before something else is written."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__(stream)
        self._lock = threading.RLock()
        self._is_shown = False

    def show(self, text: str) -> None:
        """Show a text in place of the last one, cut to the terminal's width."""
        with self._lock:
            columns = shutil.get_terminal_size().columns
            super().write(f"{_CLEAR if self._is_shown else ''}{printable(text)[: columns - 1]}")
            self._is_shown = bool(text)
            self.flush()

    def write(self, text: str) -> int:
        """Write a text above the line, which is shown again with its next text."""
        with self._lock:
            super().write(f"{_CLEAR}{text}" if self._is_shown else text)
            self._is_shown = False
        return len(text)


def _write(stream: TextIO, text: str) -> OSError | None:
    """Write a text, what the stream's encoding lacks escaped; return the error if it can't be written."""
    encoding = getattr(stream, "encoding", None)
    if encoding and not text.isascii():
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    if isinstance(stream, SturdyStream) and not isinstance(stream, _BelowMessages):
        return _write(stream._stream, text) if stream._stream is not None else None
    return _tried(lambda: stream.write(text))


def _flush(stream: TextIO) -> OSError | None:
    if isinstance(stream, SturdyStream) and not isinstance(stream, _BelowMessages):
        return _flush(stream._stream) if stream._stream is not None else None
    return _tried(stream.flush)


def _tried(action: Callable[[], object]) -> OSError | None:
    """Do something with a stream; return the error if it fails, which the stream forgets."""
    try:
        action()
    except OSError as exc:
        return exc
    except ValueError as exc:  # it is closed
        return OSError(errno.EBADF, str(exc))
    return None


def _fill_closed_descriptors() -> None:
    """Put the null device where a standard descriptor is closed.

    A file or connection that is opened later would get its number, and with it what is meant for the terminal.
    """
    for descriptor in _STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            # the lowest number that is free is this one: those below are open by now
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
