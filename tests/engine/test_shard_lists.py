"""Lists of shards: what is written is read again, a few rows at a time, and what was cut off is noticed."""

from __future__ import annotations

import zlib

import pytest

from beam_s3box.engine import shard_lists
from beam_s3box.engine.shard_lists import ListedShard, read_shards, segment_of, write_firings, write_shard_list
from beam_s3box.errors import S3BoxError
from beam_s3box.formats import deflate
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import ShardFile
from beam_s3box.shards.runs import new_token
from beam_s3box.stores.memory import MemoryStore

LAYOUT = Layout("run")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(new_token(12))


def row(store: MemoryStore, number: int) -> ListedShard:
    key = f"data/web/clicks/{number:08d}.json.gz"
    shard = ShardFile(
        "web", "clicks", "w", store.url(key), key, number, 10 * number, 5, f"{number:064x}", "records", 1.5, 2.5
    )
    return ListedShard(shard, f"manifests/{number}", "ab" * 32, 3, 3.5)


def test_a_row_is_read_as_it_was_written(store: MemoryStore) -> None:
    rows = [row(store, number) for number in range(3)]
    written = write_shard_list(store, LAYOUT, [segment_of(rows[:2]), segment_of(rows[2:])])
    assert written.shards == 3
    assert list(read_shards(store, written.key, written.sha256)) == rows
    key = write_firings(store, LAYOUT, "20261122T101500Z", [segment_of(rows)])
    assert list(read_shards(store, key)) == rows


def test_a_list_that_is_larger_than_what_is_read_at_once(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a part of its text is in memory at a time."""
    taken: list[int] = []

    class Inflater:
        def __init__(self, inflater: object) -> None:
            self._inflater = inflater

        def decompress(self, data: bytes, *limit: int) -> bytes:
            text = self._inflater.decompress(data, *limit)  # type: ignore[attr-defined]
            taken.append(len(text))
            return bytes(text)

        def __getattr__(self, name: str) -> object:
            return getattr(self._inflater, name)

    start = zlib.decompressobj
    monkeypatch.setattr(zlib, "decompressobj", lambda bits: Inflater(start(bits)))
    rows = [row(store, number) for number in range(12_000)]
    written = write_shard_list(
        store, LAYOUT, [segment_of(rows[begin : begin + 2_000]) for begin in range(0, 12_000, 2_000)]
    )
    assert list(read_shards(store, written.key, written.sha256)) == rows
    assert sum(taken) > 3 * max(taken)
    assert max(taken) <= 1 << 20


def test_a_list_that_is_cut_anywhere_is_no_list(store: MemoryStore) -> None:
    written = write_shard_list(store, LAYOUT, [segment_of(row(store, number) for number in range(5))])
    body = store.get(written.key)
    for size in range(len(body)):
        store.put("cut", body[:size], sha256="", content_type="application/gzip", replace=True)
        with pytest.raises(S3BoxError, match=r"/cut is not a list of shards \(error: "):
            list(read_shards(store, "cut"))
    with pytest.raises(S3BoxError, match=r"/cut does not have the SHA-256 \w{64} that the run's record names"):
        list(read_shards(store, "cut", written.sha256))


def test_rows_without_an_end_are_no_list(store: MemoryStore) -> None:
    text = b"".join(shard_lists._render(row(store, number)) for number in range(2))
    body = deflate.join([deflate.compress(text[:-1], 2, 1)])
    store.put("rest", body, sha256="", content_type="application/gzip")
    with pytest.raises(S3BoxError, match=r"/rest is not a list of shards \(error: it is cut off\)"):
        list(read_shards(store, "rest"))
