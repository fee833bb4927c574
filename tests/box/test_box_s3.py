"""S3Box on a real S3 server: its requests and its keys, and no secret is shown."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from beam_s3box import S3Settings
from beam_s3box.box import S3Box
from beam_s3box.errors import AccessError, ConfigurationError, ObjectNotFoundError, StoreError, TransientStoreError
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore, Store, open_store
from tests.readback import strict_gunzip
from tests.s3_proxy import Fault, Proxy, s3_proxy
from tools.seaweedfs import Server

SECRET = "a-secret-that-must-not-show"
QUICK = S3Settings(max_attempts=2)


@pytest.fixture
def proxy(s3_server: Server) -> Iterator[Proxy]:
    with s3_proxy(s3_server.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def prefix() -> str:
    return new_token(12)


@pytest.fixture
def store(s3_server: Server, prefix: str) -> Store:
    settings = S3Settings(endpoint_url=s3_server.endpoint_url, region="us-east-1")
    return open_store(f"s3://{s3_server.bucket}/{prefix}", settings, s3_server.writer)


def open_box(server: Server, proxy: Proxy, folder: str, **arguments: Any) -> S3Box:
    return S3Box(
        **{
            "destination": f"s3://{server.bucket}/{folder}",
            "aws_access_key_id": server.writer.access_key,
            "aws_secret_access_key": server.writer.secret_key,
            "region": "us-east-1",
            "endpoint_url": proxy.endpoint_url,
            "s3": QUICK,
            **arguments,
        }
    )


def listed(store: Store, keys: list[str]) -> list[int]:
    entries = [entry for key in keys for entry in json.loads(store.get(key))["entries"]]
    found = []
    for entry in entries:
        body = store.get(entry["url"].removeprefix(store.root + "/"))
        assert entry["meta"]["content_length"] == len(body)
        found += [json.loads(line)["i"] for line in strict_gunzip(body).splitlines()]
    return sorted(found)


def test_a_box_on_s3(s3_server: Server, proxy: Proxy, prefix: str, store: Store) -> None:
    with open_box(s3_server, proxy, prefix, buffer_size=10_000) as box:
        for i in range(500):
            box.pack({"i": i, "pad": "x" * 80})
        assert box.pack_many(b'{"i":%d}\n' % i for i in range(500, 1_000)) == 500
    keys = box.create_manifests("data_locations", 2)
    assert keys == ["data_locations_0.manifest", "data_locations_1.manifest"]
    assert listed(store, keys) == list(range(1_000))
    assert proxy.operations() == {"PutObject", "GetObject"}, "no list, no look-up of the region"
    assert proxy.count("PutObject") == len(box.shards) + 2 + 3, (
        "the run's record begins and ends it, and a list of shards"
    )
    assert proxy.count("GetObject") == 1
    box = box.next_box()
    box.pack({"i": 7})
    assert listed(store, box.create_manifests("next", 2)) == [7]


def test_bucket_and_prefix_apart(s3_server: Server, proxy: Proxy, prefix: str, store: Store) -> None:
    box = open_box(s3_server, proxy, prefix, destination=None, bucket=s3_server.bucket, prefix=prefix)
    box.pack({"i": 1})
    assert listed(store, box.create_manifests("m")) == [1]
    assert s3_server.bucket in repr(S3Box(bucket=s3_server.bucket))


def test_keys_of_the_environment(
    s3_server: Server, proxy: Proxy, prefix: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.writer.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.writer.secret_key)
    box = open_box(s3_server, proxy, prefix, aws_access_key_id=None, aws_secret_access_key=None)
    box.pack({"i": 1})
    assert listed(store, box.create_manifests("m")) == [1]


def test_a_refused_upload_raises_and_a_later_seal_succeeds(
    s3_server: Server, proxy: Proxy, prefix: str, store: Store
) -> None:
    box = open_box(s3_server, proxy, prefix, max_records=10)
    proxy.rule = lambda request: Fault(503, "SlowDown") if "/data/" in request.key else None
    box.pack_many({"i": i} for i in range(100))
    with pytest.raises(TransientStoreError, match=r"PutObject s3://.*/data/.*2 attempts.*SlowDown"):
        box.seal()
    assert box.stats.shards == 0
    assert box.stats.pending == 100
    proxy.rule = lambda request: None
    assert listed(store, box.create_manifests("m", 3)) == list(range(100))


def test_a_lost_reply_is_no_second_shard(s3_server: Server, proxy: Proxy, prefix: str, store: Store) -> None:
    proxy.rule = lambda request: (
        Fault(0, "", after=True) if proxy.count("PutObject", request.key) == 1 and "PutObject" in request else None
    )
    with open_box(s3_server, proxy, prefix, max_records=10) as box:
        box.pack_many({"i": i} for i in range(50))
    assert listed(store, box.create_manifests("m")) == list(range(50))
    assert len(list(store.list("data/"))) == 5


def test_a_with_left_by_an_exception_leaves_no_manifest(
    s3_server: Server, proxy: Proxy, prefix: str, store: Store
) -> None:
    with pytest.raises(KeyError) as caught, open_box(s3_server, proxy, prefix, max_records=10) as box:  # noqa: PT012 - the `with` is what is tested
        box.pack_many({"i": i} for i in range(55))
        raise KeyError("mine")
    found = [info.key for info in store.list()]
    assert all(key.startswith("data/") and store.url(key) in caught.value.__notes__[0] for key in found)


def test_wrong_keys_and_a_missing_bucket_are_said_clearly(s3_server: Server, proxy: Proxy, prefix: str) -> None:
    box = open_box(s3_server, proxy, prefix, aws_secret_access_key=SECRET)
    box.pack({"i": 1})
    with pytest.raises(AccessError) as caught:
        box.seal()
    assert SECRET not in "".join([str(caught.value), *caught.value.__notes__])
    box = open_box(s3_server, proxy, prefix, destination="s3://no-such-bucket-here")
    box.pack({"i": 1})
    with pytest.raises((ObjectNotFoundError, AccessError), match="no-such-bucket-here"):
        box.seal()
    with pytest.raises(StoreError):
        box.create_manifests("m")


@pytest.mark.parametrize(
    "keys",
    [
        {"aws_access_key_id": "AKIDEXAMPLE"},
        {"aws_secret_access_key": SECRET},
        {"aws_session_token": SECRET},
        {"aws_access_key_id": "AKIDEXAMPLE", "aws_session_token": SECRET},
        {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": ""},
        {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": SECRET + "\n"},
    ],
)
@pytest.mark.parametrize("destination", ["s3://bucket/prefix", "memory://x"])
def test_half_of_the_keys_is_an_error(keys: dict[str, str], destination: str) -> None:
    with pytest.raises(ConfigurationError, match=r"aws_|secret_key") as caught:
        S3Box(destination, **keys)  # type: ignore[arg-type]
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"bucket": ""},
        {"bucket": "a/b"},
        {"prefix": "p"},
        {"destination": "s3://"},
        {"destination": "s3:///prefix"},
        {"destination": "s3://bucket", "bucket": "bucket"},
        {"destination": "s3://bucket", "prefix": "p"},
        {"bucket": "Not_A_Bucket"},
    ],
)
def test_no_bucket_or_two_is_an_error(arguments: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="bucket"):
        S3Box(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "arguments",
    [{"buffer_size": 0}, {"buffer_size": True}, {"buffer_size": "1MB"}, {"max_object_bytes": 1}, {"max_records": 0},
     {"upload_concurrency": 0}, {"format": "xml"}, {"max_record_bytes": 1}, {"domain": ""}, {"namespace": 5},
     {"region": "Frankfurt !"}, {"endpoint_url": "localhost"}],
)  # fmt: skip
def test_an_argument_that_can_not_work_is_named(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(arguments))):
        S3Box(MemoryStore("x"), **arguments)


def test_no_secret_shows(s3_server: Server) -> None:
    box = S3Box("s3://bucket/prefix", aws_access_key_id="AKIDEXAMPLE0000000", aws_secret_access_key=SECRET)
    after = box.next_box()
    for shown in (repr(box), repr(after), repr(box._plan), str(box.stats)):
        assert SECRET not in shown
        assert "AKIDEXAMPLE" not in shown
    with pytest.raises((TypeError, pickle.PicklingError, AttributeError)) as caught:
        pickle.dumps(box)
    assert SECRET not in str(caught.value)


def test_nothing_is_connected_before_a_shard_is(proxy: Proxy, s3_server: Server, prefix: str) -> None:
    box = open_box(s3_server, proxy, prefix)
    box.pack({"i": 1})
    assert proxy.requests == []
    assert box.next_box().create_manifests("m") == []
    assert proxy.requests == []
