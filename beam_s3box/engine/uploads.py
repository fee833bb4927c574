"""Shards become objects: joined, named by their content, written once, several at a time."""

from __future__ import annotations

import collections
import hashlib
import threading
import time
from typing import NamedTuple

from beam_s3box import metrics
from beam_s3box.engine.claims import RunClaim
from beam_s3box.errors import ObjectExistsError
from beam_s3box.formats import Format, format_of
from beam_s3box.metrics import Metrics
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import SealedShard, ShardFile, total_size
from beam_s3box.sizes import MiB
from beam_s3box.stores import Store
from beam_s3box.stores.base import holds
from beam_s3box.system.threads import Executor, Pending

_MAX_WAITING_BYTES = 32 * MiB
"""Compressed bytes on their way at a time, one larger shard aside; more would only wait in memory."""


def put_once(store: Store, key: str, body: bytes, sha256: str, content_type: str, *, is_unique: bool = False) -> int:
    """Write an object that must not be there yet, and return the attempts that took.

    An object that is there with the same bytes is a success: the reply to an earlier attempt was lost.

    Args:
      store: where to.
      key: below the root.
      body: all of its bytes.
      sha256: of the body, hexadecimal.
      content_type: MIME type.
      is_unique: whether the key is of these bytes alone, as it holds their digest: then nothing is looked for first
        where the server can't refuse what exists.

    Raises:
      ObjectExistsError: another object is there.
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
    """A shard that is in the store, and what that took."""

    file: ShardFile
    attempts: int
    milliseconds: int


class Uploader:
    """Writes shards to their final keys, create-only. Safe from many threads."""

    def __init__(self, store: Store, format: Format, layout: Layout) -> None:
        self._store = store
        self._format = format
        self._layout = layout

    def upload(self, shard: SealedShard) -> Uploaded:
        """Join a shard's segments, write the object, and return its description.

        Raises:
          StoreError: the store refused or failed, after its retries; names bucket, key, error code and attempts.
        """
        begun = time.monotonic()
        body = format_of(self._format, shard.stream).join(shard.segments)
        sha256 = hashlib.sha256(body).hexdigest()
        key = self._key(shard, sha256)
        attempts = put_once(self._store, key, body, sha256, self._format.content_type, is_unique=True)
        file = self._describe(shard, key, len(body), sha256)
        return Uploaded(file, attempts, round((time.monotonic() - begun) * 1000))

    def _key(self, shard: SealedShard, sha256: str) -> str:
        return self._layout.shard(shard, sha256, self._format.extension)

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
        )


class ClaimingUploader(Uploader):
    """The same, for a run that nobody else claims: it does so before its first shard."""

    def __init__(self, store: Store, format: Format, claim: RunClaim) -> None:
        super().__init__(store, format, claim.layout)
        self._claim = claim
        self._is_claimed = False
        # without threads the caller uploads: its own thread may take it again, if a call that broke off still holds it
        self._lock = threading.RLock()

    def upload(self, shard: SealedShard) -> Uploaded:
        """Claim the run id, if that is not done yet, and upload the shard."""
        with self._lock:
            if not self._is_claimed:
                self._claim.take(self._store)
                self._is_claimed = True
        return super().upload(shard)


class UploadQueue:
    """Uploads shards on several threads, with a bound on what waits; one thread adds and takes.

    The first upload that fails raises at the next call; nothing is dropped in silence.
    """

    def __init__(self, uploader: Uploader, threads: Executor, counts: Metrics) -> None:
        self._uploader = uploader
        self._threads = threads
        self._counts = counts
        self._waiting: collections.deque[tuple[Pending[Uploaded], int]] = collections.deque()
        self._waiting_bytes = 0

    def add(self, shard: SealedShard) -> list[ShardFile]:
        """Queue a shard; return those that are in the store by now. Waits while too much is on its way."""
        size = total_size(shard.segments).object_bytes
        files = self._take_finished()
        while self._waiting and self._waiting_bytes + size > _MAX_WAITING_BYTES:
            files.append(self._take())
        self._waiting.append((self._threads.submit(self._uploader.upload, shard), size))
        self._waiting_bytes += size
        return files

    def finish(self) -> list[ShardFile]:
        """Wait for all uploads and return their shards."""
        files = []
        while self._waiting:
            files.append(self._take())
        return files

    def abandon(self) -> None:
        """Forget what is queued: what did not begin never will, the rest ends unlisted."""
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
