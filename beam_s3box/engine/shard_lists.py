"""Lists of shards with their digests, next to the run's record: gzip files of JSON lines, one for each shard.

A manifest has what COPY needs; these have what a person or a check may ask a year later. Rows are compressed where the
manifests are written, and joined as shards are, without compressing them again.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from beam_s3box.engine.uploads import put_once
from beam_s3box.errors import S3BoxError
from beam_s3box.formats import deflate
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import Segment, ShardFile
from beam_s3box.stores import Store

MAX_ROWS: Final = 50_000
"""Rows of one list: about 5 MB."""

ROWS_IN_SEGMENT: Final = 2_000
"""Rows that are compressed together: about 200 kB as an element of a pipeline."""

_CONTENT_TYPE: Final = "application/gzip"
_LEVEL: Final = 1
"""Random digests are most of what is left, at every level."""

_READ_BYTES: Final = 1 << 20


class ShardList(NamedTuple):
    """One list of shards in the store.

    Attributes:
      key: its key below the store's root.
      sha256: the SHA-256 of its bytes, hexadecimal.
      shards: how many it lists.
    """

    key: str
    sha256: str
    shards: int


class ListedShard(NamedTuple):
    """One row of a list.

    Attributes:
      shard: the shard.
      manifest: the key of the manifest that lists it, "" in a run without manifests.
      manifest_sha256: the SHA-256 of the manifest's text, hexadecimal.
      pane: the number of the firing of the shard's window, from 0.
      listed: when its manifest was written, in seconds since the epoch; None if unknown.
    """

    shard: ShardFile
    manifest: str = ""
    manifest_sha256: str = ""
    pane: int = 0
    listed: float | None = None

    @property
    def arrived(self) -> float | None:
        """When its first record came to be packed, in seconds since the epoch; None if unknown."""
        return self.shard.arrived or None

    @property
    def stored(self) -> float | None:
        """When it was in the store; None if unknown."""
        return self.shard.stored or None


class _Row(msgspec.Struct):
    """A row as it is written: a URL is the store's and the key."""

    domain: str
    namespace: str
    window: str
    key: str
    records: int
    raw_bytes: int
    object_bytes: int
    sha256: str
    sealed_by: str
    manifest: str = ""
    manifest_sha256: str = ""
    pane: int = 0
    arrived: float | None = None
    stored: float | None = None
    listed: float | None = None


_DECODER: Final = msgspec.json.Decoder(_Row)


def segment_of(rows: Iterable[ListedShard]) -> Segment:
    """Return rows as a segment, which can be joined with others to a list."""
    lines = list(map(_render, rows))
    return deflate.compress(b"".join(lines), len(lines), _LEVEL)


def write_shard_list(store: Store, layout: Layout, segments: Sequence[Segment]) -> ShardList:
    """Write one list of a bounded run, create-only under a key of its content, and return it.

    Args:
      store: where to.
      layout: of the run.
      segments: its rows.

    Raises:
      StoreError: the store refused or failed, after its retries.
    """
    body, sha256 = _joined(segments)
    key = layout.shard_list(sha256)
    put_once(store, key, body, sha256, _CONTENT_TYPE, is_unique=True)
    return ShardList(key, sha256, sum(segment.records for segment in segments))


def write_firings(store: Store, layout: Layout, moment: str, segments: Iterable[Segment]) -> str:
    """Write the list of what one bundle of an unbounded run lists, and return its key.

    Args:
      store: where to.
      layout: of the run.
      moment: when the bundle began, such as `20261122T101500Z`.
      segments: its rows.

    Raises:
      StoreError: the store refused or failed, after its retries.
    """
    body, sha256 = _joined(segments)
    key = layout.firings(moment, sha256)
    put_once(store, key, body, sha256, _CONTENT_TYPE, is_unique=True)
    return key


def read_shards(store: Store, key: str, sha256: str | None = None) -> Iterator[ListedShard]:
    """Yield the rows of a list, a few at a time in memory.

    Args:
      store: where it is.
      key: its key.
      sha256: the digest that it must have, None for any.

    Raises:
      S3BoxError: it has another digest, or is not a list.
      StoreError: it can't be read.
    """
    body = store.get(key)
    if sha256 is not None and hashlib.sha256(body).hexdigest() != sha256:
        raise S3BoxError(
            f"{store.url(key)} does not have the SHA-256 {sha256} that the run's record names: it was damaged"
        )
    try:
        for line in _lines(body):
            yield _listed(store, _DECODER.decode(line))
    except (zlib.error, msgspec.MsgspecError) as exc:
        raise S3BoxError(f"{store.url(key)} is not a list of shards ({type(exc).__name__}: {exc})") from exc


def _render(listed: ListedShard) -> bytes:
    row: dict[str, Any] = listed.shard._asdict()
    del row["url"]
    row["manifest"], row["manifest_sha256"], row["pane"] = listed.manifest, listed.manifest_sha256, listed.pane
    row["arrived"], row["stored"], row["listed"] = listed.arrived, listed.stored, listed.listed
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def _listed(store: Store, row: _Row) -> ListedShard:
    shard = ShardFile(
        row.domain,
        row.namespace,
        row.window,
        store.url(row.key),
        row.key,
        row.records,
        row.raw_bytes,
        row.object_bytes,
        row.sha256,
        row.sealed_by,
        row.arrived or 0.0,
        row.stored or 0.0,
    )
    return ListedShard(shard, row.manifest, row.manifest_sha256, row.pane, row.listed)


def _joined(segments: Iterable[Segment]) -> tuple[bytes, str]:
    body = deflate.join(segments)
    return body, hashlib.sha256(body).hexdigest()


def _lines(body: bytes) -> Iterator[bytes]:
    inflater = zlib.decompressobj(31)
    rest, data = b"", body
    while data:
        text = rest + inflater.decompress(data, _READ_BYTES)
        data = inflater.unconsumed_tail
        lines = text.split(b"\n")
        rest = lines.pop()
        yield from lines
    if rest or not inflater.eof:
        raise zlib.error("it is cut off")
