"""Checks one shard against what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, TypeAlias

from beam_s3box.engine.shard_lists import ListedShard
from beam_s3box.errors import ObjectNotFoundError
from beam_s3box.runs.verify.json_contents import Contents, DamagedShardError, ignore, read_json
from beam_s3box.runs.verify.manifest_texts import Entry
from beam_s3box.stores import Store
from beam_s3box.stores.stored import StoredObject, read_stored

_AVRO_EXTENSION: Final = ".avro"
GONE: Final = "does not exist"
_DIGEST_CHARACTERS: Final = 12
"""Of the SHA-256 in the key of a shard."""


class Stated(NamedTuple):
    """What is said of a shard.

    Attributes:
      key: its key below the store's root.
      row: its row in the run's list of shards; None if it has none.
      entry: its entry in a manifest; None if it has none.
      is_ours: whether its key must have the digest of its bytes, as all that this package makes but a streamer's.
    """

    key: str
    row: ListedShard | None
    entry: Entry | None
    is_ours: bool = True

    @property
    def manifest(self) -> str:
        """The key of the manifest that lists it; "" if none does."""
        if self.entry is not None:
            return self.entry.manifest
        return self.row.manifest if self.row else ""

    @property
    def object_bytes(self) -> int:
        """The size that its entry, or else its row, states; 0 if none does."""
        if self.entry is not None:
            return self.entry.object_bytes or 0
        return self.row.shard.object_bytes if self.row else 0

    @property
    def sha256(self) -> str:
        """The digest that its row states; "" if none does."""
        return self.row.shard.sha256 if self.row else ""


class Found(NamedTuple):
    """What a shard was found to be.

    Attributes:
      stated: what is said of it.
      object_bytes: its bytes.
      contents: what it holds; None if that was not read, or it is damaged.
      faults: what is wrong with it, each as the rest of a sentence.
    """

    stated: Stated
    object_bytes: int
    contents: Contents | None
    faults: tuple[str, ...]


TakeShard: TypeAlias = Callable[[Stated], Callable[[Any], object]]
"""Returns what takes the records of a shard: lines of JSON, or rows of Avro."""


def take_nothing(stated: Stated) -> Callable[[Any], object]:
    """Return what ignores the records of a shard."""
    return ignore


def check_shard(store: Store, stated: Stated, take: TakeShard = take_nothing) -> Found:
    """Read a shard and return what it is.

    Raises:
      StoreError: it can't be read.
    """
    try:
        stored = read_stored(store, stated.key)
        if _is_changed(stored, stated):
            # bytes may have been changed on their way; what is wrong twice is wrong in the store
            stored = read_stored(store, stated.key)
    except ObjectNotFoundError:
        return Found(stated, 0, None, (GONE,))
    faults = [*_faults_of_size(stored, stated), *_faults_of_digest(stored, stated)]
    if faults:
        # other bytes than those that were written may inflate to anything
        return Found(stated, len(stored.body), None, tuple(faults))
    try:
        contents = _reader_of(stated.key)(stored.body, take(stated))
    except DamagedShardError as exc:
        return Found(stated, len(stored.body), None, (str(exc),))
    return Found(stated, len(stored.body), contents, tuple(_faults_of_contents(contents, stated)))


def _reader_of(key: str) -> Callable[[bytes, Callable[[Any], object]], Contents]:
    if key.endswith(_AVRO_EXTENSION):
        # most runs have none, and do not need fastavro
        from beam_s3box.runs.verify.avro_contents import read_avro

        return read_avro
    return read_json


def _is_changed(stored: StoredObject, stated: Stated) -> bool:
    return any(_faults_of_digest(stored, stated))


def _faults_of_size(stored: StoredObject, stated: Stated) -> Iterator[str]:
    size = len(stored.body)
    if stated.row is not None and stated.row.shard.object_bytes != size:
        yield f"has {size:,} bytes, not {stated.row.shard.object_bytes:,} as in the run's list of shards"
    if stated.entry is not None and stated.entry.object_bytes not in (None, size):
        yield f"has {size:,} bytes, not {stated.entry.object_bytes:,} as in {stated.entry.manifest}"


def _faults_of_digest(stored: StoredObject, stated: Stated) -> Iterator[str]:
    if stated.sha256 and stored.sha256 != stated.sha256:
        yield f"has the SHA-256 {stored.sha256}, not {stated.sha256} as in the run's list of shards"
    elif stated.sha256:
        return  # the key says no more, and that of a streamer has the digest of the file's name
    elif stored.written_sha256 not in (None, stored.sha256):
        yield f"has the SHA-256 {stored.sha256}, not {stored.written_sha256} as it was written with"
    elif stated.is_ours and stored.sha256[:_DIGEST_CHARACTERS] not in stated.key:
        yield f"has the SHA-256 {stored.sha256}, which is not the one in its key"


def _faults_of_contents(contents: Contents, stated: Stated) -> Iterator[str]:
    row, entry = stated.row, stated.entry
    if row is not None and row.shard.records != contents.records:
        yield f"holds {contents.records:,} records, not {row.shard.records:,} as in the run's list of shards"
    if row is not None and row.shard.sha256 and row.shard.raw_bytes != contents.raw_bytes:
        yield f"holds {contents.raw_bytes:,} bytes, not {row.shard.raw_bytes:,} as in the run's list of shards"
    if entry is not None and entry.records not in (None, contents.records):
        yield f"holds {contents.records:,} records, not {entry.records:,} as in {entry.manifest}"
