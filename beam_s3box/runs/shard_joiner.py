"""Joins shards to one: reads each once, compares it with its digest, and writes the bodies as one object.

The digest of the joined object is in its key and metadata, so its bytes are read here; but large bodies are not sent
back, as S3 copies them itself.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from beam_s3box import metrics
from beam_s3box.errors import ObjectExistsError, S3BoxError
from beam_s3box.formats.joins import TAIL_BYTES, Body, Ends, Join, join_of
from beam_s3box.metrics import Metrics
from beam_s3box.runs.compaction_plan import JoinedShard
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import ShardFile
from beam_s3box.sizes import MiB
from beam_s3box.stores import S3Store, Store
from beam_s3box.stores.s3_settings import MIN_PART_BYTES
from beam_s3box.stores.slices import Piece, Slice, put_joined, read_piece
from beam_s3box.system.outside import wall_seconds
from beam_s3box.system.threads import Threads

_READ_BYTES: Final = 8 * MiB
_AHEAD: Final = 12
"""Reads that are under way for one joined shard: small objects wait for the store, and not for this machine."""

_KEY_DIGEST_CHARACTERS: Final = 12
"""Characters of its digest in the key of a shard."""


class _Wanted(NamedTuple):
    """What one request reads: a whole shard, or a part of a large one."""

    shard: ShardFile
    part: Slice | None = None


class _Read(NamedTuple):
    """What one request has read, of this version of the object: all of it, or a part."""

    shard: ShardFile
    body: bytes
    etag: str
    is_part: bool


@dataclasses.dataclass(frozen=True)
class ShardJoiner:
    """Joins shards of one run. Safe for use by many threads.

    Attributes:
      store: where they are, and where the joined ones are written.
      layout: of the run that writes.
      origin: a token in the keys of the joined shards, unique to this execution.
      readers: read.
      counts: takes the figures.
    """

    store: Store
    layout: Layout
    origin: str
    readers: Threads
    counts: Metrics

    def join(self, planned: JoinedShard, sequence: int) -> ShardFile:
        """Write a joined shard and return its description; one that would be made of a single shard stays that shard.

        Args:
          planned: what it is made of.
          sequence: its number, unique within the origin.

        Raises:
          S3BoxError: a shard is damaged, this package did not write it, or its header differs from the others'.
          StoreError: the store refused or failed, after its retries.
        """
        if len(planned.shards) == 1:
            return planned.shards[0]
        joined = _Joined(self.store)
        found = self.readers.map_ahead(self._read, self._wanted(planned.shards), _AHEAD)
        for shard, parts in itertools.groupby(found, key=_shard_of):
            joined.add(shard, parts)
        return self._write(planned, joined, sequence)

    def _wanted(self, shards: Iterable[ShardFile]) -> Iterator[_Wanted]:
        for shard in shards:
            if shard.object_bytes < MIN_PART_BYTES or not isinstance(self.store, S3Store):
                yield _Wanted(shard)
                continue
            etag, size = self.store.stat(shard.key).etag, shard.object_bytes
            for start in range(0, size, _READ_BYTES):
                yield _Wanted(shard, Slice(shard.key, etag, start, min(start + _READ_BYTES, size)))

    def _read(self, wanted: _Wanted) -> _Read:
        read = self._read_once(wanted)
        self.counts.count(metrics.INPUT_BYTES, len(read.body))
        return read

    def _read_once(self, wanted: _Wanted) -> _Read:
        if wanted.part is not None:
            return _Read(wanted.shard, read_piece(self.store, wanted.part), wanted.part.etag, True)
        body, info = self.store.read(wanted.shard.key)
        return _Read(wanted.shard, body, info.etag, False)

    def _write(self, planned: JoinedShard, joined: _Joined, sequence: int) -> ShardFile:
        join, raw_bytes = joined.finish()
        sha256, size = joined.digest.hexdigest(), joined.size
        stream = planned.stream
        key = self.layout.shard(stream, planned.window, self.origin, sequence, sha256, join.extension)
        try:
            put_joined(self.store, key, joined.pieces, sha256=sha256, content_type=join.content_type)
        except ObjectExistsError:
            # nobody else has the origin: the reply to an earlier attempt was lost
            found = self.store.stat(key)
            if found.size != size or found.sha256 not in (sha256, None):
                raise
        self.counts.count(metrics.SHARDS)
        self.counts.count(metrics.OBJECT_BYTES, size)
        records = sum(shard.records for shard in planned.shards)
        url = self.store.url(key)
        arrived = min((shard.arrived for shard in planned.shards if shard.arrived), default=0.0)
        return ShardFile(
            *stream,
            planned.window,
            url,
            key,
            records,
            raw_bytes,
            size,
            sha256,
            planned.sealed_by,
            arrived,
            round(wall_seconds(), 3),
        )


def _shard_of(read: _Read) -> ShardFile:
    return read.shard


class _Joined:
    """An object that is being joined.

    Attributes:
      pieces: what it consists of so far.
      digest: of these bytes.
      size: their number.
    """

    def __init__(self, store: Store) -> None:
        self.pieces: list[Piece] = []
        self.digest: Any = hashlib.sha256()
        self.size = 0
        self._store = store
        self._join: Join | None = None
        self._bodies: list[Body] = []
        self._first = ""

    def add(self, shard: ShardFile, parts: Iterator[_Read]) -> None:
        """Add a shard: its body follows what is there."""
        first = next(parts)
        is_large = first.is_part
        whole = hashlib.sha256(first.body)
        if not is_large:
            _check_bytes(shard, len(first.body), whole.hexdigest())
        join = self._check_join(shard, join_of(shard.url, first.body))
        self._put(join.between if self._bodies else join.before)
        start, stop = len(join.before), shard.object_bytes - join.trailer_bytes
        self._put_body(first.body[start:stop])
        position, tail = len(first.body), first.body[-TAIL_BYTES:]
        for part in parts:
            whole.update(part.body)
            self._put_body(memoryview(part.body)[: max(stop - position, 0)])
            position += len(part.body)
            tail = (tail + part.body)[-TAIL_BYTES:]
        _check_bytes(shard, position, whole.hexdigest())
        self._bodies.append(join.body(Ends(shard.url, tail, position, shard.raw_bytes or None)))
        large = Slice(shard.key, first.etag, start, stop)
        self.pieces.append(large if is_large else first.body[start:stop])

    def finish(self) -> tuple[Join, int]:
        """Add the end of the object, and return how it is joined, and its bytes before compression."""
        if self._join is None:
            raise S3BoxError("a joined shard needs shards")
        after, raw_bytes = self._join.close(self._bodies)
        self._put(after)
        before, body = self.pieces[0], self.pieces[1]
        if isinstance(body, Slice):
            # its object begins like this one, and the server copies that too
            self.pieces[:2] = [body._replace(start=body.start - len(before))]
        return self._join, raw_bytes

    def _put(self, literal: bytes) -> None:
        self._put_body(literal)
        self.pieces.append(literal)

    def _put_body(self, body: bytes | memoryview) -> None:
        self.digest.update(body)
        self.size += len(body)

    def _check_join(self, shard: ShardFile, join: Join) -> Join:
        if self._join is None:
            self._join, self._first = join, shard.url
        if join != self._join:
            raise S3BoxError(
                f"{shard.url} can't be joined with {self._first}: their headers differ, as they were written with "
                "other formats, schemas or codecs; nothing of the run was changed, and its manifests count as before"
            )
        return join


def _check_bytes(shard: ShardFile, size: int, sha256: str) -> None:
    """Raise S3BoxError if these are not the bytes that were written."""
    # runs of earlier versions have no lists of shards, but a part of the digest is in the key
    is_same = sha256 == shard.sha256 if shard.sha256 else sha256[:_KEY_DIGEST_CHARACTERS] in shard.key
    if size != shard.object_bytes or not is_same:
        raise S3BoxError(
            f"{shard.url} is not the shard that the run has listed: it has {size} bytes with the SHA-256 {sha256}, "
            f"and not {shard.object_bytes} bytes with {shard.sha256 or 'the digest in its key'}; it was damaged or "
            "replaced, and nothing of the run was changed"
        )
