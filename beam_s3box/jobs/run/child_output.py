"""Keeps off the terminal what Beam's workers print of failures, in child processes and in threads of this one."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from beam_s3box.cli.console.output import SturdyStream

_STDERR = 2
_TRACEBACK = "Traceback (most recent call last):"


@contextlib.contextmanager
def children_silent() -> Iterator[None]:
    """Drop what child processes that start within the block write to standard error.

    Beam's worker processes print tracebacks and notes there, which no log level stops; what fails in them is raised in
    this process too. What this process writes to `sys.stderr` still arrives.
    """
    sys.stderr.flush()
    with contextlib.ExitStack() as undo:
        saved = os.dup(_STDERR)
        undo.callback(os.close, saved)
        if _writes_to_descriptor(sys.stderr):
            # without a buffer, which could not be emptied where nothing can be written any more
            own = io.TextIOWrapper(
                io.FileIO(saved, "w", closefd=False),
                encoding="utf-8",
                errors="backslashreplace",
                write_through=True,
            )
            undo.enter_context(contextlib.redirect_stderr(SturdyStream(own)))
        nothing = undo.enter_context(open(os.devnull, "wb"))
        undo.callback(os.dup2, saved, _STDERR)
        os.dup2(nothing.fileno(), _STDERR)
        yield


@contextlib.contextmanager
def tracebacks_unprinted() -> Iterator[None]:
    """Drop the tracebacks that Beam's worker threads print to standard error; what fails in them is raised too."""
    with contextlib.redirect_stderr(_WithoutTracebacks(sys.stderr)):
        yield


class _WithoutTracebacks(io.TextIOBase):
    """Writes on all but texts that are tracebacks: a log's lines begin otherwise."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._dropped = False

    def write(self, text: str) -> int:
        """Write a text, unless it is a traceback, or the line break that `print` writes behind one."""
        self._dropped = text.startswith(_TRACEBACK) or (self._dropped and text == "\n")
        return len(text) if self._dropped else self._stream.write(text)

    def flush(self) -> None:
        """Write what waits."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Return whether it ends on a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._stream.fileno()


def _writes_to_descriptor(stream: TextIO) -> bool:
    """Return whether a stream ends in the standard error that children inherit; a test's or a notebook's does not."""
    try:
        return stream.fileno() == _STDERR
    except (AttributeError, io.UnsupportedOperation, ValueError):
        return False
