"""What a job's messages look like on standard error: as any command's, and Beam's chatter left out.

This imports no Beam, because Beam logs while it is imported.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from beam_s3box.cli.console import logging as cli_logging

_PRISM = "PrismRunner"
"""It reports each failure several times, and warns of steps that are none."""

_OF_RUNNERS = ("apache_beam.", "root", "SdkWorker@", _PRISM)
"""Beginnings of the names under which runners log, in this process and out of others."""

_LOADS = "beam_s3box.transforms.redshift"
"""Logs each load that fails, which the job reports at its end."""

_FAILURES = ("Traceback", "goroutine ")
"""Mark what workers in Python, and servers in Go, say of a failure."""

_STARTER = "apache_beam.utils.subprocess_server"
"""Warns of each server that it starts and stops."""


class JobLog(cli_logging.CommandLog):
    """The messages of one job."""

    def __init__(self) -> None:
        super().__init__("beam_s3box")
        self.handler.addFilter(_WithoutFailures(self))
        self.handler.addFilter(_WithoutChatter(self))


@contextlib.contextmanager
def job_logging() -> Iterator[JobLog]:
    """Log as a tool does, and as before when it ends."""
    log = JobLog()
    with import_note_silenced(), cli_logging.installed(log):
        yield log


@contextlib.contextmanager
def import_note_silenced() -> Iterator[None]:
    """Within the block, let Beam be imported without what it logs then."""
    root, import_filter = logging.getLogger(), _WithoutImportNote()
    root.addFilter(import_filter)
    try:
        yield
    finally:
        root.removeFilter(import_filter)


def silence_exit() -> None:
    """Let a process end without what Beam says of the servers that it stops then."""
    logging.getLogger(_STARTER).setLevel(logging.ERROR)


class _WithoutFailures(logging.Filter):
    """Leaves out what runners log of a failure: they raise it too, and then it is printed in one line."""

    def __init__(self, log: JobLog) -> None:
        super().__init__()
        self._log = log

    def filter(self, record: logging.LogRecord) -> bool:
        if self._log.shows_tracebacks or not record.name.startswith((*_OF_RUNNERS, _LOADS)):
            return True
        if record.name in (_PRISM, _LOADS):
            return False
        message = record.getMessage()
        is_failure = record.exc_info or any(mark in message for mark in _FAILURES)
        return not is_failure and not record.name.endswith("runners.direct.executor")


class _WithoutChatter(logging.Filter):
    """Leaves out what servers that a runner starts say below the level: Beam turns them up, each by its own logger."""

    def __init__(self, log: JobLog) -> None:
        super().__init__()
        self._log = log

    def filter(self, record: logging.LogRecord) -> bool:
        if self._log.shows_tracebacks or record.name.partition(".")[0] == self._log.own:
            return True
        is_start = record.name == _STARTER and record.levelno <= logging.WARNING
        return record.levelno >= logging.getLogger().level and not is_start


class _WithoutImportNote(logging.Filter):
    """Leaves out what Beam logs on import when Google's libraries are not installed: nothing here uses them."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith("apitools not found")
