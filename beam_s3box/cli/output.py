"""Output that may fail: a command whose work is done ends as the work did, whether or not its words can be printed."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO


@contextlib.contextmanager
def output_may_fail() -> Iterator[None]:
    """Print what can be printed until the block ends.

    A character that the terminal does not know is escaped. When the other side is gone, or its disk is full, the rest
    is dropped. For commands whose product is elsewhere: what only prints must fail with its output.
    """
    out, errors = _Forgiving(sys.stdout), _Forgiving(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            yield
        finally:
            out.flush()
            errors.flush()


class _Forgiving(io.TextIOBase):
    """Writes to a stream as far as that goes."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write a text."""
        with self._told_once():
            if self._stream is not None:
                self._stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))
        return len(text)

    def flush(self) -> None:
        """Write what waits."""
        with self._told_once():
            if self._stream is not None:
                self._stream.flush()

    def isatty(self) -> bool:
        """Return whether it ends on a terminal."""
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        """Return the descriptor."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    @contextlib.contextmanager
    def _told_once(self) -> Iterator[None]:
        """Send what is left nowhere, once it can't be written: Python would try again at its end, and fail then."""
        try:
            yield
        except OSError:
            with contextlib.suppress(OSError, AttributeError):
                nothing = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nothing, self.fileno())
                os.close(nothing)
