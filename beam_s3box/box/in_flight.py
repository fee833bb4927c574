"""Shards that are being uploaded, on a few threads, and kept until they are in the store.

Each step may be interrupted between any two lines, when a signal handler raises, and repeated: a shard is added to its
next collection, under its number, before it is removed from the previous one, and uploading the same bytes again
succeeds.
"""

from __future__ import annotations

import threading

from beam_s3box.engine.uploads import Uploader
from beam_s3box.shards.model import SealedShard, ShardFile, total_size
from beam_s3box.system.threads import Bell, Task, Threads, as_error


class InFlightUploads:
    """Uploads shards in the background and drops one when it is in the store, not before.

    Every method is called with the lock held; the threads acquire it when an upload ends, and ring the bell.

    Args:
      uploader: writes a shard.
      threads: the threads that upload.
      lock: guards this object; reentrant.
      changed: rung when an upload ended.

    Attributes:
      failed: shards whose upload failed, by their sequence number, with the error.
      held_bytes: memory of the shards that are not in the store: their segments, and also the object while it is
        uploaded.
    """

    def __init__(self, uploader: Uploader, threads: Threads, lock: threading.RLock, changed: Bell) -> None:
        self._uploader = uploader
        self._threads = threads
        self._lock = lock
        self._changed = changed
        self._in_flight: dict[int, SealedShard] = {}
        self._tasks: dict[int, Task[None]] = {}
        self.failed: dict[int, tuple[SealedShard, BaseException]] = {}
        self._unreported: list[int] = []
        self._files: dict[int, ShardFile] = {}
        self.held_bytes = 0

    @property
    def files(self) -> list[ShardFile]:
        """The shards in the store."""
        return list(self._files.values())

    @property
    def shards_in_flight(self) -> int:
        """The number of shards whose upload waits or runs."""
        return len(self._in_flight)

    @property
    def has_unreported_failure(self) -> bool:
        """Whether an upload failed that no call has raised yet."""
        return bool(self._unreported)

    def add(self, shard: SealedShard) -> None:
        """Start to upload a shard."""
        self._in_flight[shard.sequence] = shard
        self.held_bytes += 2 * _size(shard)
        self._begin(shard)

    def begin_all(self) -> None:
        """Start the uploads that an interrupted call did not start."""
        if len(self._tasks) < len(self._in_flight):
            for sequence, shard in list(self._in_flight.items()):
                if sequence not in self._tasks:
                    self._begin(shard)

    def retry_reported(self) -> None:
        """Retry the shards whose failure was raised."""
        for sequence in [sequence for sequence in self.failed if sequence not in self._unreported]:
            shard, _ = self.failed[sequence]
            self._in_flight[sequence] = shard
            del self.failed[sequence]
            self.held_bytes += _size(shard)
            self._begin(shard)

    def cancel(self) -> None:
        """Drop the uploads that wait, and those that failed."""
        for sequence in list(self._in_flight):
            task = self._tasks.get(sequence)
            if task is None or task.cancel():
                del self._in_flight[sequence]
        self.failed.clear()
        self._unreported.clear()
        self.held_bytes = 0

    def discard(self) -> None:
        """Drop all uploads, also those that are running."""
        self._in_flight.clear()
        self.cancel()

    def raise_failure(self) -> None:
        """Raise the first failure that was not raised yet, else the first of all; then all of them count as raised."""
        if not self.failed:
            return
        shard, error = self.failed[self._unreported[0] if self._unreported else next(iter(self.failed))]
        self._unreported.clear()
        note = (
            f"{len(self.failed)} shard(s) could not be uploaded and are kept, the first one with "
            f"{total_size(shard.segments).records} records: seal() uploads them again"
        )
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
        raise error

    def renew(self, lock: threading.RLock) -> None:
        """Replace the lock, and drop what only the parent process uploads."""
        self._lock = lock
        self.discard()

    def _begin(self, shard: SealedShard) -> None:
        task = self._threads.submit(self._upload, shard)
        if shard.sequence in self._in_flight:  # without threads it has ended by now
            self._tasks[shard.sequence] = task

    def _upload(self, shard: SealedShard) -> None:
        """Upload one shard; runs on a thread, without the lock."""
        outcome: ShardFile | BaseException
        try:
            outcome = self._uploader.upload(shard).file
        except BaseException as exc:  # noqa: BLE001 - kept with its shard, and raised by the caller's next call
            outcome = as_error(exc)
        with self._lock:
            self._complete(shard, outcome)
        self._changed.ring()

    def _complete(self, shard: SealedShard, outcome: ShardFile | BaseException) -> None:
        sequence, size = shard.sequence, _size(shard)
        is_awaited = self._in_flight.pop(sequence, None) is not None
        self._tasks.pop(sequence, None)
        if is_awaited:
            self.held_bytes -= 2 * size
        if isinstance(outcome, ShardFile):
            self._files[sequence] = outcome
        elif is_awaited:
            self.held_bytes += size
            self.failed[sequence] = shard, outcome
            self._unreported.append(sequence)


def _size(shard: SealedShard) -> int:
    return total_size(shard.segments).object_bytes
