"""Columns from the shards that a manifest lists: all or a sample, in parallel, from a real server too."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from beam_s3box.box import S3Box
from beam_s3box.engine.manifests import Manifest
from beam_s3box.errors import ConfigurationError, LoadError, ObjectNotFoundError, RecordError
from beam_s3box.redshift import Column, infer_columns
from beam_s3box.redshift.manifests import StoreReader
from beam_s3box.redshift.schema.infer import SAMPLED_SHARDS
from beam_s3box.shards.model import ShardFile
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore, S3Settings, Store, open_store
from tools.seaweedfs import REGION, Server


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(new_token(12))


RECORDS = [{"id": number, "at": f"2026-01-{1 + number % 28:02d}", "user": "x" * number} for number in range(50)]


def put(store: Store, key: str, body: bytes) -> str:
    store.put(key, body, sha256=hashlib.sha256(body).hexdigest(), content_type="application/gzip")
    return store.url(key)


def put_shard(store: Store, number: int, *records: Any) -> str:
    return put(
        store, f"data/{number:05d}.json.gz", gzip.compress(b"".join(json.dumps(r).encode() + b"\n" for r in records))
    )


def put_manifest(store: Store, *urls: str) -> str:
    entries = [{"url": url, "mandatory": True} for url in urls]
    return put(store, "manifests/m.manifest", json.dumps({"entries": entries}).encode())


def types(columns: list[Column]) -> dict[str, str]:
    return {column.name: column.type for column in columns}


class Packed(NamedTuple):
    manifest: Manifest
    shards: list[ShardFile]


def pack(destination: Any) -> Packed:
    with S3Box(destination, domain="d", namespace="n") as box:
        box.pack_many(RECORDS)
        box.seal()
        (key,) = box.create_manifests("m", 1)
        manifest = Manifest("d", "n", "", 0, box.url(key), key, 1, len(RECORDS), 1, 1)
        return Packed(manifest, list(box.shards))


class Counting:
    """Reads, and records the URLs and the number of concurrent reads."""

    def __init__(self, wait_for: int = 1) -> None:
        self.urls: list[str] = []
        self._barrier = threading.Barrier(wait_for)
        self._fetch = StoreReader()

    def __call__(self, url: str) -> bytes:
        self.urls.append(url)
        if "/data/" in url:
            self._barrier.wait(timeout=60)
        return self._fetch(url)


def test_all_shards_count(store: MemoryStore) -> None:
    urls = [
        put_shard(store, 0, {"a": 1}),
        put_shard(store, 1, {"a": 2.5}, {"b": None}),
        put_shard(store, 2, {"c": "x"}),
    ]
    wanted = {"a": "DOUBLE PRECISION", "b": "VARCHAR(256)", "c": "VARCHAR(256)"}
    assert types(infer_columns(put_manifest(store, *urls))) == wanted


def test_shards_are_read_at_the_same_time(store: MemoryStore) -> None:
    urls = [put_shard(store, number, {f"k{number}": 1}) for number in range(4)]
    columns = infer_columns(put_manifest(store, *urls), threads=4, fetch=Counting(wait_for=4))
    assert [column.name for column in columns] == ["k0", "k1", "k2", "k3"]


def test_a_sample_is_taken_all_over_the_manifest(store: MemoryStore) -> None:
    urls = [put_shard(store, number, *({f"k{number}": 1} for _ in range(10)), {"tail": 1}) for number in range(100)]
    manifest, fetch = put_manifest(store, *urls), Counting()
    columns = infer_columns(manifest, sample=100, fetch=fetch)
    assert sorted(fetch.urls)[0] == urls[0]
    assert sorted(fetch.urls)[-2] == urls[-1]
    assert len(fetch.urls) == 1 + SAMPLED_SHARDS
    assert len(columns) == SAMPLED_SHARDS
    assert "tail" not in types(columns)
    assert len(infer_columns(manifest)) == 101


def test_a_shard_listed_twice_is_refused_as_a_load_refuses_it(store: MemoryStore) -> None:
    url = put_shard(store, 0, {"a": 1})
    with pytest.raises(LoadError, match="more than once"):
        infer_columns(put_manifest(store, url, url))


def test_plain_shards_and_several_members_are_read(store: MemoryStore) -> None:
    plain = put(store, "data/a.json", b'\xef\xbb\xbf{"a":1}\r\n\n{"b":2}')
    members = put(store, "data/b.json.gz", gzip.compress(b'{"c":1}\n') + gzip.compress(b'{"d":1}\n'))
    assert list(types(infer_columns(put_manifest(store, plain, members)))) == ["a", "b", "c", "d"]


def test_a_bad_line_names_its_shard(store: MemoryStore) -> None:
    url = put_shard(store, 0, {"a": 1}, [1])
    with pytest.raises(RecordError, match=rf"{url} has a line that is not a record: a JSON array"):
        infer_columns(put_manifest(store, url))


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        (b"Obj\x01\x00", ConfigurationError, "which is Avro, not JSON lines"),
        (gzip.compress(b'{"a":1}')[:-4], ConfigurationError, "ends in the middle of its gzip data"),
        (b"", ConfigurationError, "no keys"),
    ],
)
def test_a_shard_that_cannot_be_read_is_an_error(
    store: MemoryStore, body: bytes, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        infer_columns(put_manifest(store, put(store, "data/x", body)))


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"entries":[{}]}'])
def test_what_is_no_manifest_is_an_error(store: MemoryStore, body: bytes) -> None:
    with pytest.raises(LoadError, match="is not a manifest"):
        infer_columns(put(store, "manifests/x", body))


def test_what_is_not_there_is_an_error(store: MemoryStore) -> None:
    with pytest.raises(ObjectNotFoundError):
        infer_columns(store.url("manifests/x"))
    with pytest.raises(ObjectNotFoundError):
        infer_columns(put_manifest(store, store.url("data/x")))


def test_from_a_folder(tmp_path: Path) -> None:
    assert infer_columns(pack(tmp_path).manifest) == infer_columns(RECORDS)


def test_from_a_real_server(s3_server: Server) -> None:
    settings = S3Settings(endpoint_url=s3_server.endpoint_url, region=REGION)
    fetch = StoreReader(settings, s3_server.writer)
    manifest, shards = pack(open_store(f"s3://{s3_server.bucket}/{new_token(8)}", settings, s3_server.writer))
    for source in (manifest, manifest.url, [manifest], shards, iter(shards)):
        columns = infer_columns(source, fetch=fetch)
        assert types(columns) == {"id": "BIGINT", "at": "DATE", "user": "VARCHAR(256)"}
        assert columns == infer_columns(RECORDS)
