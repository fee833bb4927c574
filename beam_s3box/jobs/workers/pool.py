"""Worker processes that share the ranges of files: whoever is idle gets the next one, so that all end together."""

from __future__ import annotations

import heapq
import logging
import multiprocessing
import operator
import signal
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Final

from beam_s3box.engine.intake import WARNINGS
from beam_s3box.errors import S3BoxError
from beam_s3box.jobs.read.files import FileRange
from beam_s3box.jobs.workers.part import Failed, Logged, Message, Noted, Packed, PartTask, Remainder, Wanted, work
from beam_s3box.shards.runs import new_token

_METHOD: Final = "fork" if sys.platform == "linux" else "spawn"
"""How processes start: as copies of the launcher, which has imported Beam; to do that again takes more than a second.
Other systems can't go on in a copy."""

_END_SECONDS: Final = 5.0
"""For a process whose pipe has ended to end, too."""


_POOLS: Final[dict[str, WorkerPool]] = {}
"""Those that run, by their tokens: a step of a pipeline can't hold processes."""


class WorkerPool:
    """Processes that pack the ranges of a run; they begin with the block, and end with it.

    Args:
      number: how many.

    Attributes:
      token: names it in this process.
    """

    def __init__(self, number: int) -> None:
        self.token = new_token()
        self._number = number
        self._run_id = ""
        self._workers: dict[Connection, BaseProcess] = {}

    def __enter__(self) -> WorkerPool:
        context: Any = multiprocessing.get_context(_METHOD)
        try:
            for _ in range(self._number):
                self._start(context)
        except BaseException:
            self._kill()
            raise
        _POOLS[self.token] = self
        return self

    def __exit__(
        self, error: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        del _POOLS[self.token]
        self._kill()

    def _start(self, context: Any) -> None:
        ours, theirs = context.Pipe()
        # a copy has the launcher's ends of all pipes, too, and closes them: else they would outlive the launcher
        others = [*self._workers, ours] if _METHOD == "fork" else []
        process = context.Process(target=_begin, args=(theirs, others), daemon=True)
        with warnings.catch_warnings():
            # of a copy of a process with threads: those that wait for a signal hold nothing
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        theirs.close()
        self._workers[ours] = process

    def pack(self, task: PartTask, ranges: Iterable[FileRange]) -> list[Packed]:
        """Let all ranges be packed, and return what each worker did.

        Args:
          task: what they are given.
          ranges: of files.

        Raises:
          S3BoxError: a worker ended before it had done its part.
          Exception: what a worker raised.
        """
        self._run_id = task.plan.layout.run_id
        for connection in self._workers:
            self._send(connection, task)
        left, done, busy = iter(ranges), [], list(self._workers)
        while busy:
            ready = wait(busy)
            for connection in [one for one in busy if one in ready]:
                message = self._heard(connection)
                if isinstance(message, Wanted):
                    self._send(connection, next(left, None))
                elif isinstance(message, Packed):
                    done.append(message)
                    busy.remove(connection)
        return done

    def remainders(self) -> Iterator[Remainder]:
        """Yield what is too little for a shard, of all workers, sorted by key; they hold it until it is asked for.

        Raises:
          S3BoxError: a worker ended before it had given all.
        """
        return heapq.merge(*map(self._remainders_of, self._workers), key=operator.itemgetter(0))

    def _remainders_of(self, connection: Connection) -> Iterator[Remainder]:
        while (message := self._heard(connection)) is not None:
            yield message  # type: ignore[misc]

    def _send(self, connection: Connection, what: PartTask | FileRange | None) -> None:
        try:
            connection.send(what)
        except (BrokenPipeError, ConnectionResetError):
            raise self._ended(self._workers[connection]) from None

    def _heard(self, connection: Connection) -> Message:
        """Return the next message that is not for the log.

        Raises:
          S3BoxError: the worker ended.
          Exception: what it raised.
        """
        try:
            message: Message = connection.recv()
        except (EOFError, ConnectionResetError):
            raise self._ended(self._workers[connection]) from None
        if isinstance(message, Failed):
            raise message.error
        if isinstance(message, Noted):
            WARNINGS.note(self._run_id, message.reason)
        if isinstance(message, Logged):
            logging.getLogger(message.name).log(message.level, "%s", message.text)
        return message

    def _ended(self, process: BaseProcess) -> S3BoxError:
        process.join(_END_SECONDS)
        code = process.exitcode
        how = f"exited with {code}" if code is None or code >= 0 else f"was ended by {signal.Signals(-code).name}"
        return S3BoxError(
            f"worker process {process.pid} of {self._number} {how} before its part was packed, and nothing is listed: "
            "start the run again; a system that runs out of memory kills processes, which fewer --workers avoid"
        )

    def _kill(self) -> None:
        for connection, process in self._workers.items():
            process.kill()
            connection.close()
        until = time.monotonic() + _END_SECONDS
        for process in self._workers.values():
            process.join(max(0.0, until - time.monotonic()))
        self._workers.clear()


def pool_named(token: str) -> WorkerPool:
    """Return the pool that runs in this process under this token."""
    return _POOLS[token]


def _begin(connection: Connection, others: list[Connection]) -> None:
    """Work, in a new process."""
    for other in others:
        other.close()
    work(connection)
