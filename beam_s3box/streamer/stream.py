"""One open stream: encodes records, writes them to its buffer, and seals the buffer when a limit is met."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from beam_s3box.errors import DiskQuotaError, RecordError, StreamerError, StreamNotOpenError
from beam_s3box.records.encoding import RecordRules
from beam_s3box.records.rejected_records import RejectedRecord
from beam_s3box.records.routing import Router
from beam_s3box.records.selector import StreamSelector
from beam_s3box.records.streams import Stream
from beam_s3box.shards.limits import StreamLimits
from beam_s3box.shards.model import Size
from beam_s3box.shards.packing import Capacity, Placement, decide
from beam_s3box.streamer.buffers import header_of
from beam_s3box.streamer.events import PendingFile, report
from beam_s3box.streamer.folder import Folder
from beam_s3box.streamer.guard import synchronized
from beam_s3box.streamer.journal import Durability, Journal
from beam_s3box.streamer.open_buffer import OpenBuffer, StreamState
from beam_s3box.streamer.output import Output, output_bytes
from beam_s3box.streamer.sealed_buffer import SealedBuffer

_GRANTED_BYTES = 16 * 1024
"""How many bytes a buffer may grow before more room is reserved."""

_ROOM_FOR_NAMES = 32 * 1024
"""Bytes of a full disk that are kept free for descriptions when a buffer is written in parts."""


class OpenStream:
    """Takes the records of one stream. Safe from many threads: it has its own lock.

    Args:
      stream: the name of the stream.
      limits: the limits of a file, of which `max_raw_bytes` and `max_seconds` count.
      rules: what makes a record invalid.
      folder: the folder of the buffers.
      output: the format of finished files.
      durability: what a record survives.
      clock: returns seconds, monotonic.
      hand_over: takes complete buffers; passing the same one again must change nothing.
    """

    def __init__(
        self,
        stream: Stream,
        limits: StreamLimits,
        *,
        rules: RecordRules,
        folder: Folder,
        output: Output,
        durability: Durability,
        clock: Callable[[], float],
        hand_over: Callable[[SealedBuffer], None],
    ) -> None:
        self.stream = stream
        self.limits = limits
        self._router = Router(StreamSelector(*stream), rules)
        self._folder = folder
        self._output = output
        self._durability = durability
        self._clock = clock
        self._hand_over = hand_over
        self._format = output.make()
        self._capacity = Capacity.of(limits, self._format.overhead)
        self._room = self._capacity.room.raw_bytes
        # what a record takes in the finished file beyond its line and the one byte that ends it in the buffer
        self._separator_bytes = self._format.record_overhead - 1
        self._header = header_of(stream, output)
        self._guard = threading.Lock()
        self._state = StreamState()
        self._closed = False

    @property
    def records(self) -> int:
        """The number of records it has taken."""
        buffers, handed_over = self._state
        return handed_over + sum(buffer.journal.records for buffer in buffers)

    @property
    def open_bytes(self) -> int:
        """Bytes of its files that are not sealed."""
        return sum(one.journal.size for one in self._state.buffers if one.sealed.size is None)

    def append(self, record: Any) -> None:
        """Take one record; when this returns, it is as safe as the durability says.

        Raises:
          RecordError: the record is invalid; nothing has changed.
          StreamNotOpenError, StreamerError: the record was not taken.
        """
        journal, end, error = self._append(record)
        if error is not None:
            # the record is taken; the next call seals, or raises the error
            report(error)
        if self._durability == "fsync":
            self._sync(journal, end)

    @synchronized
    def seal(self) -> None:
        """Hand over what is buffered, if anything."""
        self._seal()

    def seal_old(self) -> None:
        """Hand over what is buffered if its first record is older than the time limit."""
        self._seal_if_old(self._clock())

    @synchronized
    def close(self) -> None:
        """Hand over what is buffered and take no more records."""
        self._closed = True
        self._seal()

    @property
    def closed(self) -> bool:
        """Whether it takes no more records."""
        return self._closed

    def reopen(self) -> None:
        """Take records again, if the call that closed the stream could not seal its buffers."""
        self._closed = False

    @synchronized
    def abandon(self) -> None:
        """Abandon what could not be sealed: the next streamer on the folder finds it, as after a crash."""
        for buffer in self._state.buffers:
            buffer.journal.close()
            self._folder.measure(buffer.journal.path)

    def unsealed(self, error: str) -> PendingFile | None:
        """Return the records of this stream that are in no sealed file; None if there are none."""
        buffers = [one for one in self._state.buffers if one.journal.records and not one.sealed.handed_over]
        if not buffers:
            return None
        held = sum(len(buffer.journal.held_lines) for buffer in buffers)
        if held:
            return PendingFile("", *self.stream, 0, f"{error} ({held} records)", "memory")
        return PendingFile(buffers[0].sealed.file_name, *self.stream, 0, error)

    @synchronized
    def _append(self, record: Any) -> tuple[Journal, int, StreamerError | None]:
        """Take a record; return its buffer, up to which byte to sync it, and why it can't be sealed."""
        routed = self._router.route(record)
        if isinstance(routed, RejectedRecord):
            raise RecordError(f"the record for {self.stream} was not taken: {routed.detail}", routed.reason)
        line, error = routed[1], None
        buffer = self._buffer_for(line)
        journal = buffer.journal
        if not journal.records:
            # the time limit counts from the first record
            buffer.begun = self._clock()
        data_bytes = journal.data_bytes + len(line) + 1
        if data_bytes > buffer.granted or journal.must_flush:
            self._reserve_some(buffer, data_bytes, journal.must_flush)
        journal.write(line)
        end = journal.size
        if data_bytes + journal.records * self._separator_bytes >= self._room:
            try:
                self._seal()
            except StreamerError as exc:
                error = exc
        return journal, end, error

    @synchronized
    def _seal_if_old(self, now: float) -> None:
        """Hand over what is buffered if it is too old now."""
        buffer, seconds = next(iter(self._state.buffers), None), self.limits.max_seconds
        if buffer is None or not buffer.journal.records:
            return
        is_old = seconds is not None and now - buffer.begun >= seconds
        # sealing also writes a buffer again that another program removed, while this process still can
        if buffer.full or is_old or not buffer.journal.is_at(buffer.journal.path):
            self._seal()

    def _sync(self, journal: Journal, end: int) -> None:
        try:
            journal.sync(end)
        except StreamerError:
            # after one failed sync the disk may lose data silently at the next: continue in a new file
            error = self._stop_buffer(journal)
            if error is not None:
                report(error)
            raise

    @synchronized
    def _stop_buffer(self, journal: Journal) -> StreamerError | None:
        """Seal this buffer; return the error if that fails."""
        try:
            if any(buffer.journal is journal for buffer in self._state.buffers):
                self._seal()
        except StreamerError as exc:
            return exc
        return None

    def _buffer_for(self, line: bytes) -> OpenBuffer:
        """Return the buffer for a line by the packing rule; seal the current one if the line does not fit."""
        held = self._state.buffers[0] if self._state.buffers else None
        if held is not None and not held.full:
            records, size = held.journal.records, len(line) + self._format.record_overhead
            raw_bytes = held.journal.data_bytes + records * self._separator_bytes
            # also where the rule would seal the next record alone: a buffer keeps the order of its stream
            if raw_bytes + size < self._room or not records or self._fits(Size(0, raw_bytes, records), size):
                return held
        if held is not None:
            self._seal()
        if self._closed:
            raise StreamNotOpenError(f"the stream {self.stream} is closed: open it again")
        try:
            self._folder.restore()
        except OSError as exc:
            raise StreamerError(f"the record was not taken: {self._folder.path}: {exc.strerror}") from exc
        buffer = self._new_buffer()
        self._state = self._state._replace(buffers=(buffer,))
        return buffer

    def _fits(self, before: Size, size: int) -> bool:
        return decide(before, Size(0, size, 1), self._capacity)[0] is Placement.APPEND

    def _new_buffer(self, held: Sequence[bytes] = (), begun: float = 0.0) -> OpenBuffer:
        name = self._folder.new_name()
        journal = Journal(self._folder.path_of(name, "open"), self._header, self._durability).with_held(held)
        return OpenBuffer(journal, SealedBuffer(name, self.stream, self._output), begun)

    def _reserve_some(self, buffer: OpenBuffer, data_bytes: int, must_flush: bool) -> None:
        """Reserve room for this many bytes of lines, and some more, to do it less often."""
        try:
            self._reserve(buffer, data_bytes + _GRANTED_BYTES, must_flush)
        except DiskQuotaError:
            self._reserve(buffer, data_bytes, must_flush)

    def _reserve(self, buffer: OpenBuffer, data_bytes: int, must_flush: bool) -> None:
        journal = buffer.journal
        records = (journal.records + 1) * data_bytes // (journal.data_bytes + 1) if journal.records else 1
        size = len(self._header) + 1 + data_bytes + output_bytes(data_bytes, records, self._format)
        from_disk = must_flush or self._durability != "memory"
        self._folder.quota.reserve(buffer.sealed.name, size, journal.size, from_disk=from_disk)
        buffer.granted = data_bytes

    def _seal(self) -> None:
        """Hand over all buffers. Each step may be repeated if a later one failed or was interrupted."""
        while self._state.buffers:
            buffer = self._state.buffers[0]
            buffer.full = True
            if self._durability == "memory":
                buffer = self._split_to_fit(buffer)
            try:
                self._seal_buffer(buffer)
            except OSError as exc:
                raise StreamerError(
                    f"seal {buffer.journal.path} failed, it can't be uploaded yet: {exc.strerror}"
                ) from exc
            buffers, handed_over = self._state
            self._state = StreamState(buffers[1:], handed_over + buffer.journal.records)

    def _seal_buffer(self, buffer: OpenBuffer) -> None:
        journal, sealed = buffer.journal, buffer.sealed
        # once it is handed over, its file no longer belongs to this stream
        if not sealed.handed_over:
            journal.complete()
            if journal.records:
                self._folder.seal(sealed, journal)
                self._folder.quota.set_reserved(
                    sealed.name, output_bytes(journal.data_bytes, journal.records, self._format)
                )
            else:
                self._folder.drop(journal.path)
                self._folder.quota.set_reserved(sealed.name, None)
        if journal.records:
            self._hand_over(sealed)
        journal.close()

    def _split_to_fit(self, buffer: OpenBuffer) -> OpenBuffer:
        """Split a buffer: keep what a full disk has room for, to be written and finished; the rest gets a new one."""
        lines, journal = buffer.journal.held_lines, buffer.journal
        room = self._folder.quota.room(buffer.sealed.name) - _ROOM_FOR_NAMES
        if not lines or output_bytes(journal.data_bytes, journal.records, self._format) + journal.held_bytes <= room:
            return buffer
        fitting, needed = 0, len(self._header)
        while fitting < len(lines) and (needed := needed + len(lines[fitting]) + 1) * 5 // 2 < room:
            fitting += 1
        if journal.size:
            # what is written is sealed, and frees room once it is uploaded
            fitting = 0
        elif not fitting:
            raise StreamerError(f"write {journal.path} failed, its records are in memory only: No space left on device")
        first = OpenBuffer(journal.with_held(lines[:fitting]), buffer.sealed, buffer.begun)
        rest = self._new_buffer(lines[fitting:], buffer.begun)
        first.full = rest.full = True
        self._state = self._state._replace(buffers=(first, rest))
        return first
