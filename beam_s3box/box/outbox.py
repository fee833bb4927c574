"""Shards on their way to the store: uploaded on a few threads, and kept until they are there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from beam_s3box.shards import SealedShard, ShardFile, total_size
from beam_s3box.uploads import Uploader


class Outbox:
    """Uploads shards beside the caller and forgets one when it is in the store, not before.

    Every method is called with the lock of `changed` held; the threads take it when an upload ends, and notify.

    Args:
      uploader: writes a shard.
      threads: run the uploads.
      changed: notified when an upload ended.

    Attributes:
      files: the shards in the store.
      failed: shards whose upload failed, by their sequence, with the error.
      held_bytes: memory of the shards that are not: their segments, and beside them the object while it is uploaded.
    """

    def __init__(self, uploader: Uploader, threads: ThreadPoolExecutor, changed: threading.Condition) -> None:
        self._uploader = uploader
        self._threads = threads
        self._changed = changed
        self._on_the_way: dict[int, Future[None]] = {}
        self.failed: dict[int, tuple[SealedShard, BaseException]] = {}
        self._untold: list[int] = []
        self.files: list[ShardFile] = []
        self.held_bytes = 0

    @property
    def shards_on_the_way(self) -> int:
        """Shards whose upload waits or runs."""
        return len(self._on_the_way)

    @property
    def has_news(self) -> bool:
        """Whether an upload failed and nobody was told."""
        return bool(self._untold)

    def add(self, shard: SealedShard) -> None:
        """Begin to upload a shard."""
        self.held_bytes += 2 * _size(shard)
        self._on_the_way[shard.sequence] = self._threads.submit(self._upload, shard)

    def retry_told(self) -> None:
        """Begin once more to upload the shards whose failure was told."""
        for sequence in [sequence for sequence in self.failed if sequence not in self._untold]:
            shard, _ = self.failed.pop(sequence)
            self.held_bytes -= _size(shard)
            self.add(shard)

    def wait(self, until: Callable[[], bool]) -> None:
        """Wait until that is so, or nothing is on its way."""
        self._changed.wait_for(lambda: not self._on_the_way or until())

    def drop(self, seconds: float) -> None:
        """Forget what waits, give the uploads that run some time to end, and forget what failed."""
        for sequence in [sequence for sequence, upload in self._on_the_way.items() if upload.cancel()]:
            del self._on_the_way[sequence]
        self._changed.wait_for(lambda: not self._on_the_way, seconds)
        self.failed.clear()
        self._untold.clear()
        self.held_bytes = 0
        self._changed.notify_all()

    def raise_failure(self) -> None:
        """Raise the first failure that nobody was told of, else the first of all; all count as told then."""
        if not self.failed:
            return
        shard, error = self.failed[self._untold[0] if self._untold else next(iter(self.failed))]
        self._untold.clear()
        note = (
            f"{len(self.failed)} shard(s) could not be uploaded and are kept, the first one with "
            f"{total_size(shard.segments).records} records: seal() uploads them again"
        )
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
        raise error

    def _upload(self, shard: SealedShard) -> None:
        """Upload one shard; runs on a thread, without the lock."""
        try:
            file = self._uploader.upload(shard).file
        except BaseException as exc:  # noqa: BLE001 - kept with its shard, and raised by the caller's next call
            self._settle(shard, exc)
        else:
            self._settle(shard, file)

    def _settle(self, shard: SealedShard, outcome: ShardFile | BaseException) -> None:
        with self._changed:
            del self._on_the_way[shard.sequence]
            self.held_bytes -= 2 * _size(shard)
            if isinstance(outcome, BaseException):
                self.held_bytes += _size(shard)
                self.failed[shard.sequence] = shard, outcome
                self._untold.append(shard.sequence)
            else:
                self.files.append(outcome)
            self._changed.notify_all()


def _size(shard: SealedShard) -> int:
    return total_size(shard.segments).object_bytes
