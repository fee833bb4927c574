"""What a job's messages look like on standard error: one line each, Beam's chatter left out, secrets masked.

This imports no Beam, because Beam logs while it is imported.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TextIO

_SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_MASK = "(masked)"
_MIN_SECRET_CHARACTERS = 6
"""A shorter text is in too many words to be masked, and no secret."""

_KEY_TALKERS = ("boto3", "botocore", "urllib3", "s3transfer")
"""At debug level these log whole requests, signatures and tokens included."""


if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:
    _StreamHandler = logging.StreamHandler


class ToolLog:
    """The messages of one job."""

    def __init__(self) -> None:
        self._formatter = _Masking("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")
        self._without_failures = _WithoutFailures()
        self.handler = _ToStandardError()
        self.handler.setFormatter(self._formatter)
        self.handler.addFilter(self._without_failures)
        self.mask(filter(None, map(os.environ.get, _SECRET_VARIABLES)))

    @property
    def shows_tracebacks(self) -> bool:
        """Whether the level is debug."""
        return not self._without_failures.active

    def set_level(self, name: str) -> None:
        """Show messages of this level and above; the job's own from info on, at any level but error."""
        level = getattr(logging, name.upper())
        logging.getLogger().setLevel(level)
        logging.getLogger("pipelines").setLevel(logging.ERROR if level >= logging.ERROR else min(level, logging.INFO))
        self._without_failures.active = level > logging.DEBUG

    def mask(self, secrets: Iterable[str]) -> None:
        """Show none of these texts from now on."""
        self._formatter.secrets.update(secret for secret in secrets if len(secret) >= _MIN_SECRET_CHARACTERS)

    def masked(self, text: str) -> str:
        """Return the text without the secrets."""
        return self._formatter.masked(text)


@contextlib.contextmanager
def tool_logging() -> Iterator[ToolLog]:
    """Log as a tool does, and as before when it ends."""
    root, log, import_filter = logging.getLogger(), ToolLog(), _WithoutImportNote()
    with contextlib.ExitStack() as undo:
        for name in ("", "pipelines", *_KEY_TALKERS):
            undo.callback(logging.getLogger(name).setLevel, logging.getLogger(name).level)
        undo.callback(root.removeFilter, import_filter)
        root.addFilter(import_filter)
        undo.callback(root.removeHandler, log.handler)
        root.addHandler(log.handler)
        for name in _KEY_TALKERS:
            logging.getLogger(name).setLevel(logging.WARNING)
        log.set_level("warning")
        yield log


class _ToStandardError(_StreamHandler):
    """Writes to what `sys.stderr` is at that moment: a live line and silenced children replace it for a while."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class _Masking(logging.Formatter):
    def __init__(self, text: str, time: str) -> None:
        super().__init__(text, time)
        self.secrets: set[str] = set()

    def format(self, record: logging.LogRecord) -> str:
        return self.masked(super().format(record))

    def masked(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, _MASK)
        return text


class _WithoutFailures(logging.Filter):
    """Leaves out what runners log of a failure: they raise it too, and then it is told in one line."""

    active = True

    def filter(self, record: logging.LogRecord) -> bool:
        if not self.active or not record.name.startswith("apache_beam."):
            return True
        is_failure = record.exc_info or "Traceback" in str(record.msg) or "Traceback" in record.getMessage()
        return not is_failure and not record.name.endswith("runners.direct.executor")


class _WithoutImportNote(logging.Filter):
    """Leaves out what Beam logs on import when Google's libraries are not installed: nothing here uses them."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith("apitools not found")
