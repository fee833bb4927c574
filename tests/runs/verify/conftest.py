"""A finished run on the real server, that each test may damage: what it changed is put back."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box import Manifests, S3Settings, StreamLimits, WriteToS3Box
from beam_s3box.cli.main import main
from beam_s3box.stores import S3Store
from tools.seaweedfs import REGION, Server

RUN_ID = "r-1"
RECORDS = [{"i": number, "d": "web", "n": f"n{number % 2}", "t": f"text {number}"} for number in range(200)]
BAD = ["no record", "[1]", '{"i": 7}']


class Stored(NamedTuple):
    """An object as it was before a test."""

    body: bytes
    metadata: dict[str, str]


class Place:
    """A prefix on the server: read, changed, and put back."""

    def __init__(self, server: Server, prefix: str) -> None:
        self.server = server
        self.bucket = server.bucket
        self.prefix = prefix
        self.url = f"s3://{server.bucket}/{prefix}"
        self.client: Any = server.client()

    def keys(self, below: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{self.prefix}/{below}"
        )
        return sorted(
            item["Key"].removeprefix(f"{self.prefix}/") for page in pages for item in page.get("Contents", ())
        )

    def first(self, below: str) -> str:
        return self.keys(below)[0]

    def read(self, key: str) -> Stored:
        answer = self.client.get_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}")
        return Stored(answer["Body"].read(), answer["Metadata"])

    def get(self, key: str) -> bytes:
        return self.read(key).body

    def put(self, key: str, body: bytes, metadata: dict[str, str] | None = None) -> None:
        """Write an object, with the digest that this package would write it with."""
        metadata = {"sha256": hashlib.sha256(body).hexdigest()} if metadata is None else metadata
        self.client.put_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}", Body=body, Metadata=metadata)

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}")

    def move(self, key: str, to: str) -> None:
        self.put(to, *self.read(key))
        self.delete(key)

    def edit(self, key: str, change: Callable[[Any], Any]) -> None:
        """Change an object of JSON."""
        value = json.loads(self.get(key))
        changed = change(value)
        self.put(key, json.dumps(value if changed is None else changed).encode())

    @contextlib.contextmanager
    def put_back(self) -> Iterator[None]:
        """Put back what the block changes."""
        before = {key: self.read(key) for key in self.keys()}
        yield
        for key in self.keys():
            if key not in before:
                self.delete(key)
        for key, stored in before.items():
            if key not in self.keys() or self.read(key) != stored:
                self.put(key, *stored)


def s3_store(server: Server, url: str) -> S3Store:
    return S3Store(url, S3Settings(region=REGION, endpoint_url=server.endpoint_url), server.writer)


@pytest.fixture(autouse=True)
def keys_of_server(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint_url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.writer.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.writer.secret_key)


@pytest.fixture(scope="session")
def written(s3_server: Server) -> Place:
    """Return where a run of eight shards and four manifests was written, once for all files of tests."""
    place = Place(s3_server, "verify")
    write(s3_server, place.url, RUN_ID)
    return place


def write(server: Server, url: str, run_id: str, **more: Any) -> None:
    arguments: dict[str, Any] = {
        "domain_field": "d",
        "namespace_field": "n",
        "limits": StreamLimits(max_records=25),
        "manifests": Manifests(count=2),
        **more,
    }
    keys = ["--s3_access_key_id", server.writer.access_key, "--s3_secret_access_key", server.writer.secret_key]
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner", *keys])) as pipeline:
        elements = [*map(json.dumps, RECORDS), *BAD]
        settings = S3Settings(region=REGION, endpoint_url=server.endpoint_url)
        _ = pipeline | beam.Create(elements) | WriteToS3Box(url, run_id=run_id, s3=settings, **arguments)


@pytest.fixture
def place(written: Place) -> Iterator[Place]:
    with written.put_back():
        yield written


class Said(NamedTuple):
    """What the command said."""

    code: int
    out: str
    err: str


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """The command, in this process."""

    def run(*arguments: str) -> Said:
        capsys.readouterr()
        code = main(["verify", *arguments])
        return Said(code, *capsys.readouterr())

    return run
