"""What a job's messages look like on standard error: as any command's, and Beam's chatter left out.

This imports no Beam, because Beam logs while it is imported.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from beam_s3box.cli import logging as cli_logging


class ToolLog(cli_logging.ToolLog):
    """The messages of one job."""

    def __init__(self) -> None:
        super().__init__("pipelines")
        self.handler.addFilter(_WithoutFailures(self))


@contextlib.contextmanager
def tool_logging() -> Iterator[ToolLog]:
    """Log as a tool does, and as before when it ends."""
    root, log, import_filter = logging.getLogger(), ToolLog(), _WithoutImportNote()
    root.addFilter(import_filter)
    try:
        with cli_logging.installed(log):
            yield log
    finally:
        root.removeFilter(import_filter)


class _WithoutFailures(logging.Filter):
    """Leaves out what runners log of a failure: they raise it too, and then it is told in one line."""

    def __init__(self, log: ToolLog) -> None:
        super().__init__()
        self._log = log

    def filter(self, record: logging.LogRecord) -> bool:
        if self._log.shows_tracebacks or not record.name.startswith("apache_beam."):
            return True
        is_failure = record.exc_info or "Traceback" in str(record.msg) or "Traceback" in record.getMessage()
        return not is_failure and not record.name.endswith("runners.direct.executor")


class _WithoutImportNote(logging.Filter):
    """Leaves out what Beam logs on import when Google's libraries are not installed: nothing here uses them."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith("apitools not found")
