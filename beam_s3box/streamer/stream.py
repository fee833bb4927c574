"""One open stream: encodes records, writes them to its buffer, and seals the buffer when a limit is met."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from beam_s3box.errors import RecordError, StreamerError, StreamNotOpenError
from beam_s3box.limits import StreamLimits
from beam_s3box.packing import Capacity, Move, place
from beam_s3box.records import RecordRules
from beam_s3box.routing import Refused, Router, StreamNaming
from beam_s3box.shards import NOTHING, Size
from beam_s3box.streamer.buffers import header_of
from beam_s3box.streamer.events import report
from beam_s3box.streamer.folder import Folder, Sealed
from beam_s3box.streamer.journal import Durability, Journal
from beam_s3box.streamer.output import Output
from beam_s3box.streamer.quota import DiskQuota
from beam_s3box.streams import Stream


class OpenStream:
    """Takes the records of one stream, from many threads; a lock of its own guards it.

    Args:
      stream: its names.
      limits: of a file; raw bytes and seconds count.
      rules: what else makes a record unfit.
      folder: where the buffers lie.
      quota: what they may take.
      output: what becomes of them.
      durability: of each record.
      clock: seconds, never going back.
      sealed: takes the buffers that are complete.
    """

    def __init__(
        self,
        stream: Stream,
        limits: StreamLimits,
        *,
        rules: RecordRules,
        folder: Folder,
        quota: DiskQuota,
        output: Output,
        durability: Durability,
        clock: Callable[[], float],
        sealed: Callable[[Sealed], None],
    ) -> None:
        self.stream = stream
        self.limits = limits
        self._router = Router(StreamNaming(*stream), rules)
        self._folder = folder
        self._quota = quota
        self._output = output
        self._durability = durability
        self._clock = clock
        self._hand_over = sealed
        format = output.make()
        self._capacity = Capacity.of(limits, format.frame)
        self._room = self._capacity.room.raw_bytes
        self._overhead = format.record_overhead
        self._header = header_of(stream, output)
        self._lock = threading.Lock()
        self._journal: Journal | None = None
        self._name = ""
        self._begun = 0.0
        self._size = 0
        self._count = 0
        self._closed = False
        self._taken = 0

    @property
    def records(self) -> int:
        """How many records it took."""
        return self._taken

    def append(self, record: Any) -> None:
        """Take one record; when this returns, it is as safe as the durability says.

        Raises:
          RecordError: it is none; nothing has changed.
          StreamNotOpenError, StreamerError: it was not taken.
        """
        with self._lock:
            routed = self._router.route(record)
            if isinstance(routed, Refused):
                raise RecordError(f"the record for {self.stream} was not taken: {routed.detail}", routed.reason)
            journal, end = self._add(routed[1])
            self._taken += 1
        if self._durability == "fsync":
            self._sync(journal, end)

    def seal(self) -> None:
        """Hand over what is buffered, if anything is."""
        with self._lock:
            self._seal()

    def seal_old(self) -> None:
        """Hand over what is buffered if its first record is as old as the time limit."""
        seconds = self.limits.seconds
        with self._lock:
            if self._count and seconds is not None and self._clock() - self._begun >= seconds:
                self._seal()

    def close(self) -> None:
        """Hand over what is buffered and take no more."""
        with self._lock:
            self._seal()
            self._closed = True

    def _sync(self, journal: Journal, end: int) -> None:
        try:
            journal.sync(end)
        except StreamerError:
            # what a disk refused once it may lose in silence the next time: go on in a new file
            with self._lock:
                if self._journal is journal:
                    self._seal_or_report()
            raise

    def _add(self, line: bytes) -> tuple[Journal, int]:
        """Write a line; return the buffer it went to, and the bytes of that to sync."""
        journal, size = self._journal, len(line) + self._overhead
        if journal is None or self._size + size >= self._room:
            return self._add_at_limit(line, size)
        self._write(journal, line, size)
        return journal, journal.size

    def _add_at_limit(self, line: bytes, size: int) -> tuple[Journal, int]:
        """Write a line that is the first of a file or may be its last, as the packing rule says."""
        if self._closed:
            raise StreamNotOpenError(f"the stream {self.stream} is closed: open it again")
        held = Size(0, self._size, self._count) if self._journal is not None else NOTHING
        move, _ = place(held, Size(0, size, 1), self._capacity)
        if move is not Move.JOIN:
            # also where the rule would seal the next record alone: a buffer keeps the order of its stream
            self._seal()
        journal = self._journal or self._begin()
        self._write(journal, line, size)
        end = journal.size
        if self._capacity.full(Size(0, self._size, self._count)):
            self._seal_or_report()
        return journal, end

    def _begin(self) -> Journal:
        self._name = self._folder.new_name()
        self._journal = Journal(self._folder.place(self._name, "open"), self._header, self._durability)
        return self._journal

    def _write(self, journal: Journal, line: bytes, size: int) -> None:
        taken = len(line) + 1
        if not self._count:
            # counted from the first record, the header written with it
            self._begun = self._clock()
            taken += len(self._header) + 1
        self._quota.take(taken)
        try:
            journal.write(line)
        except BaseException:
            self._quota.add(-taken)
            raise
        self._size += size
        self._count += 1

    def _seal(self) -> None:
        if self._journal is None:
            return
        # full from here on: should a step fail, the next record waits until it is done
        self._size = max(self._size, self._room)
        self._journal.close()
        if self._count:
            self._hand_over(self._folder.seal(self._name, self.stream, self._output))
        else:
            self._folder.drop(self._journal.path)
        self._journal, self._size, self._count = None, 0, 0

    def _seal_or_report(self) -> None:
        try:
            self._seal()
        except Exception as exc:  # noqa: BLE001 - the record is taken; the next call seals, or raises what is wrong
            report(exc)
