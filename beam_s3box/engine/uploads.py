"""Uploads of shards: joined, named by their content, written once, several at the same time."""

from __future__ import annotations

import collections
import hashlib
from typing import NamedTuple

from beam_s3box import metrics
from beam_s3box.errors import ObjectExistsError
from beam_s3box.formats import Format, format_of
from beam_s3box.metrics import Metrics
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import SealedShard, ShardFile, total_size
from beam_s3box.sizes import MiB
from beam_s3box.stores import Store
from beam_s3box.stores.base import holds
from beam_s3box.system.outside import steady_seconds, wall_seconds
from beam_s3box.system.threads import Executor, Pending

_MAX_WAITING_BYTES = 16 * MiB
"""Compressed bytes in flight, not counting one larger shard; more would only wait in memory."""


def put_once(store: Store, key: str, body: bytes, sha256: str, content_type: str, *, is_unique: bool = False) -> int:
    """Create an object that must not exist yet, and return the number of attempts.

    If it exists with the same bytes, that is a success: the response to an earlier attempt was lost.

    Args:
      store: the store.
      key: the key below the root.
      body: the bytes of the object.
      sha256: the SHA-256 of the body, hexadecimal.
      content_type: the MIME type.
      is_unique: whether no other bytes have this key, because it contains their digest. Then no request looks for the
        object first if the server has no conditional writes.

    Raises:
      ObjectExistsError: another object exists under the key.
      StoreError: the store refused or failed, after its retries.
    """
    try:
        replace = is_unique and not store.conditional_create
        return store.put(key, body, sha256=sha256, content_type=content_type, replace=replace)
    except ObjectExistsError:
        if not holds(store, key, body, sha256):
            raise
        return 1


class Uploaded(NamedTuple):
    """A shard that is in the store, and the attempts and time that its upload took."""

    file: ShardFile
    attempts: int
    milliseconds: int


class Uploader:
    """Writes shards to their final keys, create-only. Safe for use by many threads."""

    def __init__(self, store: Store, format: Format, layout: Layout) -> None:
        self._store = store
        self._format = format
        self._layout = layout

    def upload(self, shard: SealedShard) -> Uploaded:
        """Join a shard's segments, write the object, and return its description.

        Raises:
          StoreError: the store refused or failed, after its retries; names bucket, key, error code and attempts.
        """
        begun = steady_seconds()
        body = format_of(self._format, shard.stream).join(shard.segments)
        sha256 = hashlib.sha256(body).hexdigest()
        key = self._key(shard, sha256)
        attempts = put_once(self._store, key, body, sha256, self._format.content_type, is_unique=True)
        file = self._describe(shard, key, len(body), sha256)
        return Uploaded(file, attempts, round((steady_seconds() - begun) * 1000))

    def _key(self, shard: SealedShard, sha256: str) -> str:
        return self._layout.shard(
            shard.stream, shard.window, shard.origin, shard.sequence, sha256, self._format.extension
        )

    def _describe(self, shard: SealedShard, key: str, object_bytes: int, sha256: str) -> ShardFile:
        size = total_size(shard.segments)
        overhead = format_of(self._format, shard.stream).overhead
        raw_bytes = size.raw_bytes + overhead.shard.raw_bytes + (len(shard.segments) - 1) * overhead.separator.raw_bytes
        return ShardFile(
            domain=shard.stream.domain,
            namespace=shard.stream.namespace,
            window=shard.window,
            url=self._store.url(key),
            key=key,
            records=size.records,
            raw_bytes=raw_bytes,
            object_bytes=object_bytes,
            sha256=sha256,
            sealed_by=shard.reason,
            arrived=shard.arrived,
            stored=round(wall_seconds(), 3),
        )


class UploadQueue:
    """Uploads shards on several threads, with a limit on the bytes in flight. It is used by one thread.

    The error of the first upload that fails is raised by the next call.
    """

    def __init__(self, uploader: Uploader, threads: Executor, counts: Metrics) -> None:
        self._uploader = uploader
        self._threads = threads
        self._counts = counts
        self._waiting: collections.deque[tuple[Pending[Uploaded], int]] = collections.deque()
        self._waiting_bytes = 0

    def add(self, shard: SealedShard) -> list[ShardFile]:
        """Queue a shard and return the shards that are in the store by now. Blocks while too much is in flight."""
        size = total_size(shard.segments).object_bytes
        files = self._take_finished()
        while self._waiting and self._waiting_bytes + size > _MAX_WAITING_BYTES:
            files.append(self._take())
        self._waiting.append((self._threads.submit(self._uploader.upload, shard), size))
        self._waiting_bytes += size
        return files

    def finish(self) -> list[ShardFile]:
        """Wait for all uploads and return the shards."""
        files = []
        while self._waiting:
            files.append(self._take())
        return files

    def abandon(self) -> None:
        """Cancel all uploads that have not started; no manifest will list the others."""
        while self._waiting:
            self._waiting.popleft()[0].cancel()
        self._waiting_bytes = 0

    def _take_finished(self) -> list[ShardFile]:
        files = []
        while self._waiting and self._waiting[0][0].done():
            files.append(self._take())
        return files

    def _take(self) -> ShardFile:
        future, size = self._waiting.popleft()
        self._waiting_bytes -= size
        file, attempts, milliseconds = future.result()
        self._counts.count(metrics.SHARDS)
        self._counts.count(f"{metrics.SHARDS}_by_{file.sealed_by}")
        self._counts.count(metrics.RAW_BYTES, file.raw_bytes)
        self._counts.count(metrics.OBJECT_BYTES, file.object_bytes)
        self._counts.measure(metrics.UPLOAD_ATTEMPTS, attempts)
        self._counts.measure(metrics.UPLOAD_MILLISECONDS, milliseconds)
        return file
