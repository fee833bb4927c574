"""A streamer on a real S3 server: one object per file, also if a reply is lost or the server rejects requests."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from beam_s3box import Manifests, S3Settings
from beam_s3box.errors import ConfigurationError
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import Store, open_store
from beam_s3box.streamer import JsonBufferStreamer, S3Uploader, UploadsFailedError
from tests.readback import read_back, strict_gunzip
from tests.s3_proxy import Fault, Proxy, s3_proxy
from tools.seaweedfs import Server

Make = Callable[..., JsonBufferStreamer]


@pytest.fixture
def proxy(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.writer.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.writer.secret_key)
    monkeypatch.setenv("S3_UPLOADER_BUCKET", s3_server.bucket)
    with s3_proxy(s3_server.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def prefix() -> str:
    return new_token(12)


@pytest.fixture
def store(s3_server: Server, prefix: str, proxy: Proxy) -> Store:
    return open_store(
        f"s3://{s3_server.bucket}/{prefix}", S3Settings(endpoint_url=s3_server.endpoint_url, region="us-east-1")
    )


def uploader(proxy: Proxy, prefix: str, attempts: int = 1) -> S3Uploader:
    s3 = S3Settings(endpoint_url=proxy.endpoint_url, region="us-east-1", max_attempts=attempts)
    return S3Uploader(prefix=prefix, s3=s3)


def test_two_streams_with_gzip_and_without(make: Make, proxy: Proxy, prefix: str, store: Store) -> None:
    for compression in ("none", "gzip"):
        streamer = make(uploader(proxy, prefix), compression=compression)
        for namespace in ("clicks", "views/all"):
            streamer.open("web", namespace, size_limit=1_000)
            for i in range(100):
                streamer.append("web", namespace, {"i": i})
        assert streamer.shut_down() == ()
    objects = list(store.list("data/"))
    assert {info.key.rpartition("/")[0] for info in objects} == {"data/web/clicks", "data/web/views%2Fall"}
    found = []
    for info in objects:
        body = store.get(info.key)
        found += json.loads(strict_gunzip(body) if info.key.endswith(".gz") else body)
    assert sorted(record["i"] for record in found) == sorted(list(range(100)) * 4)
    assert proxy.operations() == {"PutObject", "GetObject"}, "objects are read for the record alone"
    assert proxy.count("PutObject") == len(objects) + 2 * 2, "and two records, when they begin and when they end"


def test_manifests_that_list_all(make: Make, proxy: Proxy, prefix: str, store: Store) -> None:
    streamer = make(
        uploader(proxy, prefix), format="json-lines", compression="gzip", manifests=Manifests(per="run", count=2)
    )
    streamer.open("web", "clicks", size_limit=1_000)
    for i in range(200):
        streamer.append("web", "clicks", {"i": i})
    streamer.flush()
    assert len(streamer.write_manifests()) == 2
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(200))
    assert found.unlisted == []


@pytest.mark.parametrize("restart", [False, True])
def test_a_lost_reply_makes_no_second_object(
    make: Make, proxy: Proxy, prefix: str, store: Store, restart: bool
) -> None:
    proxy.rule = lambda request: (
        Fault(0, "", after=True) if request.operation == "PutObject" and request.number == 0 else None
    )
    streamer = make(uploader(proxy, prefix))
    streamer.open("web", "clicks")
    streamer.append("web", "clicks", {"i": 0})
    with pytest.raises(UploadsFailedError, match=r"web/clicks: 1 file \(TransientStoreError"):
        streamer.flush()
    if restart:
        streamer.shut_down()
        streamer = make(uploader(proxy, prefix), compression="gzip")
    streamer.flush()
    (info,) = store.list("data/")
    assert json.loads(store.get(info.key)) == [{"i": 0}]


def test_a_server_that_says_no_loses_nothing(
    make: Make, proxy: Proxy, prefix: str, store: Store, folder: pathlib.Path
) -> None:
    proxy.rule = lambda request: Fault(403, "AccessDenied")
    streamer = make(uploader(proxy, prefix))
    streamer.open("web", "clicks", size_limit=100)
    for i in range(50):
        streamer.append("web", "clicks", {"i": i})
    with pytest.raises(UploadsFailedError, match=r"AccessError: .*AccessDenied") as caught:
        streamer.flush()
    assert "secret" not in str(caught.value).lower()
    assert len(streamer.shut_down()) > 3
    proxy.rule = lambda request: None
    make(uploader(proxy, prefix)).flush()
    records = [record for info in store.list("data/") for record in json.loads(store.get(info.key))]
    assert sorted(record["i"] for record in records) == list(range(50))


def test_the_bucket_comes_from_the_environment_or_from_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_UPLOADER_BUCKET", "from-environment")
    assert S3Uploader().store.root == "s3://from-environment"
    assert S3Uploader(bucket="given", prefix="a/b").store.root == "s3://given/a/b"
    monkeypatch.delenv("S3_UPLOADER_BUCKET")
    with pytest.raises(ConfigurationError, match="set S3_UPLOADER_BUCKET"):
        S3Uploader()
    with pytest.raises(ConfigurationError, match="bucket="):
        S3Uploader(bucket="")
    for bucket in ("s3://box/x", "box/x"):
        with pytest.raises(
            ConfigurationError, match=f"bucket='{bucket}' must be the name of a bucket: leave s3:// out"
        ):
            S3Uploader(bucket=bucket)
    with pytest.raises(ConfigurationError, match="too long"):
        S3Uploader(bucket="given", prefix="x" * 250)


def test_keys_depend_on_the_file_alone(make: Make, kept: Any) -> None:
    streamer = make()
    for namespace in ("a", "b"):
        streamer.open("web", namespace)
        for i in range(2):
            streamer.append("web", namespace, {"i": i})
            streamer.flush()
    target = S3Uploader(bucket="given")
    keys = [target.key(file) for file in kept.files]
    assert len(set(keys)) == 4
    assert keys == [target.key(file._replace(size=1, records=9)) for file in kept.files]
    run_id, _, _ = kept.files[0].file_name.rsplit("-", 2)
    assert keys[0].startswith(f"data/web/a/{run_id}-")
    assert keys[0].endswith(".json")
