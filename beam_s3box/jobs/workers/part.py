"""A worker process of a backfill: packs the ranges of files that it is handed, and says what became of them."""

from __future__ import annotations

import logging
import operator
import os
import pickle
import signal
import threading
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple, TypeAlias

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box.engine.input_totals import DeadLetterReason, InputTotals
from beam_s3box.engine.line_packer import LinePacker
from beam_s3box.engine.plan import RunPlan
from beam_s3box.engine.shard_builder import Key
from beam_s3box.errors import S3BoxError
from beam_s3box.jobs.read.files import FileRange, Reading, read_columns
from beam_s3box.metrics import PROGRESS, THROTTLED_SECONDS
from beam_s3box.records.column_batch import ColumnBatch
from beam_s3box.records.rejected_rows import RejectedRow
from beam_s3box.shards.model import Segment, ShardFile
from beam_s3box.stores.retries import WAITED


class PartTask(NamedTuple):
    """What all worker processes of a run are given.

    Attributes:
      plan: of the run.
      reading: how files are read.
      options: of the pipeline, by name: where keys of S3 are found. They go through a pipe, and nowhere else.
      progress: the folder of the counts so far; empty for none.
      log_level: of messages.
    """

    plan: RunPlan
    reading: Reading
    options: Mapping[str, Any]
    progress: str
    log_level: int


class Wanted(NamedTuple):
    """A worker has nothing to do: it wants a range, or None for the end."""


class Noted(NamedTuple):
    """There are dead letters."""

    reason: DeadLetterReason


class Logged(NamedTuple):
    """A message for the log."""

    name: str
    level: int
    text: str


class Failed(NamedTuple):
    """The worker failed."""

    error: Exception


class Packed(NamedTuple):
    """All that the worker was handed is packed; its remainders follow, sorted by key, then None.

    Attributes:
      shards: in the store.
      totals: of what came in, by file.
      counts: of the metrics.
    """

    shards: list[ShardFile]
    totals: dict[str, InputTotals]
    counts: dict[str, int]


Remainder: TypeAlias = tuple[Key, Segment]
Message: TypeAlias = Wanted | Noted | Logged | Failed | Packed | Remainder | None

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def work(connection: Connection) -> None:
    """Take a task, and pack ranges until there are no more; the whole life of a worker process.

    It takes no signals: a terminal sends them to the whole group, and the launcher ends its workers. A launcher that is
    gone ends them, too.
    """
    signal.set_wakeup_fd(-1)  # of the launcher, of which this may be a copy
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    speaker, task = _Speaker(connection), _received(connection)
    try:
        root = logging.getLogger()
        root.handlers[:] = [_Forwarding(speaker)]
        root.setLevel(task.log_level)
        PROGRESS.clear()
        PROGRESS.folder = task.progress
        FileSystems.set_options(PipelineOptions.from_dictionary(dict(task.options)))
        for message in _packed(connection, task, speaker):
            speaker.say(message)
    except Exception as exc:  # noqa: BLE001 - the launcher raises it
        speaker.say(Failed(_sendable(exc)))


def _packed(connection: Connection, task: PartTask, speaker: _Speaker) -> Iterator[Message]:
    packer = LinePacker(task.plan, PROGRESS, speaker)
    for part in _ranges(connection, speaker):
        for batch in read_columns(part, task.reading):
            if isinstance(batch, RejectedRow):
                packer.reject_row(batch)
            elif isinstance(batch, ColumnBatch):
                packer.pack_columns(batch)
            else:
                packer.pack(batch)
    packed = packer.finish_part()
    PROGRESS.count(THROTTLED_SECONDS, WAITED.take())
    yield Packed(packed.shards, packed.totals, PROGRESS.totals())
    yield from sorted(packed.remainders, key=operator.itemgetter(0))
    yield None


def _ranges(connection: Connection, speaker: _Speaker) -> Iterator[FileRange]:
    while True:
        speaker.say(Wanted())
        part = _received(connection)
        if part is None:
            return
        yield part


def _received(connection: Connection) -> Any:
    try:
        return connection.recv()
    except (EOFError, ConnectionResetError):
        os._exit(1)  # the launcher is gone: nobody lists what this process has


class _Speaker:
    """Sends messages to the launcher; for use by many threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def say(self, message: Message) -> None:
        """Send a message."""
        try:
            with self._lock:
                self._connection.send(message)
        except BrokenPipeError:
            os._exit(1)  # the launcher is gone

    def note(self, run_id: str, reason: DeadLetterReason) -> None:
        """Tell of dead letters."""
        self.say(Noted(reason))


class _Forwarding(logging.Handler):
    def __init__(self, speaker: _Speaker) -> None:
        super().__init__()
        self._speaker = speaker

    def emit(self, record: logging.LogRecord) -> None:
        self._speaker.say(Logged(record.name, record.levelno, record.getMessage()))


def _sendable(error: Exception) -> Exception:
    """Return the error, or what can be said of it where it can't be sent."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - made a moment ago
    except Exception:  # noqa: BLE001 - what libraries raise there is theirs
        return S3BoxError(f"{type(error).__name__}: {error}")
    return error
