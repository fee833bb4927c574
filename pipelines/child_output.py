"""Keeps the standard error of child processes off the terminal."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

_STDERR = 2


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
            own = undo.enter_context(open(saved, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False))
            undo.enter_context(contextlib.redirect_stderr(own))
        nothing = undo.enter_context(open(os.devnull, "wb"))
        undo.callback(os.dup2, saved, _STDERR)
        os.dup2(nothing.fileno(), _STDERR)
        yield


def _writes_to_descriptor(stream: TextIO) -> bool:
    """Return whether a stream ends in the standard error that children inherit; a test's or a notebook's does not."""
    try:
        return stream.fileno() == _STDERR
    except (AttributeError, io.UnsupportedOperation, ValueError):
        return False
