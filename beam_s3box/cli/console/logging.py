"""What a command's messages look like on standard error: one line each, secrets masked."""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TextIO

from beam_s3box.system.printable import printable

_SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_MASK = "(masked)"
_MIN_SECRET_CHARACTERS = 6
"""A shorter text is in too many words to be masked, and no secret."""

_TEXT = "%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"

_KEY_TALKERS = ("boto3", "botocore", "urllib3", "s3transfer")
"""At debug level these log whole requests, signatures and tokens included."""


if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:
    _StreamHandler = logging.StreamHandler


class CommandLog:
    """The messages of one command.

    Attributes:
      handler: writes them.
      shows_tracebacks: whether the level is debug.

    Args:
      own: name of the logger of the command's own messages.
    """

    def __init__(self, own: str) -> None:
        self.own = own
        self.shows_tracebacks = False
        self._formatter: _Masking = _Masking(*_TEXT)
        self.handler = _ToStandardError()
        self.handler.setFormatter(self._formatter)
        self.is_json = False
        self.mask(filter(None, map(os.environ.get, _SECRET_VARIABLES)))

    def set_level(self, name: str, *, is_quiet: bool = False) -> None:
        """Show messages of this level and above; the command's own from info on, unless it is quiet or shows errors."""
        level = getattr(logging, name.upper())
        logging.getLogger().setLevel(level)
        logging.getLogger(self.own).setLevel(level if is_quiet or level >= logging.ERROR else min(level, logging.INFO))
        self.shows_tracebacks = level <= logging.DEBUG

    def set_format(self, name: str) -> None:
        """Write messages as `text`, or as `json`: one object a line, for what collects logs."""
        self.is_json = name == "json"
        secrets = self._formatter.secrets
        self._formatter = _MaskingJson() if self.is_json else _Masking(*_TEXT)
        self._formatter.secrets = secrets
        self.handler.setFormatter(self._formatter)

    def mask(self, secrets: Iterable[str]) -> None:
        """Show none of these texts from now on."""
        self._formatter.secrets.update(secret for secret in secrets if len(secret) >= _MIN_SECRET_CHARACTERS)

    def masked(self, text: str) -> str:
        """Return the text without the secrets."""
        return self._formatter.masked(text)


@contextlib.contextmanager
def installed(log: CommandLog) -> Iterator[None]:
    """Log through this as a tool does, and as before when the block ends."""
    root = logging.getLogger()
    with contextlib.ExitStack() as undo:
        for name in ("", log.own, *_KEY_TALKERS):
            undo.callback(logging.getLogger(name).setLevel, logging.getLogger(name).level)
        undo.callback(root.removeHandler, log.handler)
        root.addHandler(log.handler)
        for name in _KEY_TALKERS:
            logging.getLogger(name).setLevel(logging.WARNING)
        log.set_level("warning")
        yield


class _ToStandardError(_StreamHandler):
    """Writes to what `sys.stderr` is at that moment: a live line and silenced children replace it for a while."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class _Masking(logging.Formatter):
    """Writes a message as one line without secrets.

    A traceback follows indented, so that no line of it looks like a message.
    """

    def __init__(self, text: str, time: str) -> None:
        super().__init__(text, time)
        self.secrets: set[str] = set()

    def format(self, record: logging.LogRecord) -> str:
        return "\n  ".join(printable(self.masked(line)) for line in super().format(record).split("\n"))

    def formatMessage(self, record: logging.LogRecord) -> str:
        return printable(self.masked(super().formatMessage(record)))

    def masked(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, _MASK)
        return text


class _MaskingJson(_Masking):
    """Writes a message as one object of JSON without secrets: time in UTC, level, logger, message and traceback."""

    def __init__(self) -> None:
        super().__init__("%(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": self.masked(record.getMessage()),
        }
        if record.exc_info:
            fields["traceback"] = self.masked(self.formatException(record.exc_info))
        return json.dumps(fields)  # only ASCII, which every output takes
