"""The stand-in, the real driver, and manifests with their shards on a real S3 server."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson
import pytest

from beam_s3box.engine.manifests import Manifest, plan_manifests
from beam_s3box.engine.publish import write_manifest
from beam_s3box.records.streams import Stream
from beam_s3box.redshift.client.connections import RedshiftConnection
from beam_s3box.redshift.client.data_api import RedshiftDataApi
from beam_s3box.redshift.load.loader import RedshiftLoader
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import ShardFile
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import S3Settings, S3Store
from beam_s3box.stores.retries import Retry
from redshift_stand_in import ROLE, RedshiftStandIn
from tools.seaweedfs import REGION, Server

Record = Mapping[str, Any]


class Warehouse:
    """A stand-in with an empty database, and a bucket.

    Attributes:
      redshift: the stand-in.
      role: one that it accepts.
      store: where shards and manifests are written.
      connection: to the stand-in, through redshift_connector.
    """

    def __init__(self, redshift: RedshiftStandIn, s3: Server) -> None:
        self.redshift = redshift
        self.role = ROLE
        self.settings = S3Settings(region=REGION, endpoint_url=s3.endpoint_url)
        self.keys = s3.admin
        self.store = S3Store(f"s3://{s3.bucket}/{new_token(8)}", self.settings, s3.admin)
        self.connection = self.connect_as(redshift.password)

    def connect_as(self, password: str) -> RedshiftConnection:
        """Return a connection to the stand-in with this password."""
        server = self.redshift
        return RedshiftConnection(server.host, server.database, server.user, password, port=server.port, ssl=False)

    def loader(self, connection: Any = None, **settings: Any) -> RedshiftLoader:
        """Return a loader that waits for nothing."""
        retry = Retry(5, 0.0, 0.0)
        defaults = {"iam_role": self.role, "s3": self.settings, "s3_credentials": self.keys, "retry": retry}
        return RedshiftLoader(connection or self.connection, **{**defaults, **settings})

    def data_api(self, **changes: Any) -> RedshiftDataApi:
        """Return a connection to the stand-in's Data API, through boto3."""
        client = self.redshift.data_api(**changes)
        return RedshiftDataApi(
            "dev",
            workgroup=self.redshift.workgroup,
            client=lambda: client,
            sleep=lambda seconds: time.sleep(0.01),
        )

    def manifest(self, *files: Iterable[Record], run_id: str | None = None) -> Manifest:
        """Write shards of these records and their manifest."""
        layout = Layout(run_id or new_token(8))
        shards = [self._shard(list(records)) for records in files]
        return write_manifest(self.store, layout, plan_manifests(Stream("web", "clicks"), "", 0, shards, 1)[0])

    def rewrite(self, manifest: Manifest, *files: Iterable[Record]) -> None:
        """Write a manifest again, with other shards, as an unbounded run does after a rollback."""
        other = self.manifest(*files)
        body = self.store.get(other.key)
        digest = hashlib.sha256(body).hexdigest()
        self.store.put(manifest.key, body, sha256=digest, content_type="application/json", replace=True)

    def execute(self, *statements: str) -> None:
        """Run statements in one transaction."""
        with contextlib.closing(self.redshift.connect()) as connection:
            for statement in statements:
                connection.cursor().execute(statement)
            connection.commit()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with contextlib.closing(self.redshift.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(query)
            return [tuple(row) for row in cursor.fetchall()]

    def ids(self, table: str = "clicks") -> list[int]:
        """Return the table's ids in order."""
        return [row[0] for row in self.rows(f"SELECT id FROM {table} ORDER BY id")]

    def _shard(self, records: list[Record]) -> ShardFile:
        body = gzip.compress(b"".join(orjson.dumps(dict(record)) + b"\n" for record in records), mtime=0)
        digest = hashlib.sha256(body).hexdigest()
        key = f"data/{new_token(8)}.json.gz"
        self.store.put(key, body, sha256=digest, content_type="application/gzip")
        return ShardFile("web", "clicks", "", self.store.url(key), key, len(records), 0, len(body), digest, "records")


def clicks(*ids: int, name: str = "x") -> list[dict[str, Any]]:
    """Return records of these ids."""
    return [{"id": number, "name": f"{name}{number}"} for number in ids]


def together(*works: Callable[[], Any]) -> list[Any]:
    """Call several functions at the same time and return their results."""
    results: list[Any] = [None] * len(works)
    begin = threading.Barrier(len(works))

    def run(number: int) -> None:
        begin.wait()
        try:
            results[number] = works[number]()
        except Exception as exc:  # noqa: BLE001 - the test looks at it
            results[number] = exc

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.fixture(scope="session")
def redshift(s3_server: Server) -> Iterator[RedshiftStandIn]:
    with RedshiftStandIn(s3_server.endpoint_url, s3_server.reader.access_key, s3_server.reader.secret_key) as server:
        yield server


@pytest.fixture
def warehouse(redshift: RedshiftStandIn, s3_server: Server) -> Warehouse:
    """A database with an empty table `clicks`, and no schema `web`."""
    redshift.reset()
    made = Warehouse(redshift, s3_server)
    made.execute("DROP SCHEMA IF EXISTS web CASCADE", "CREATE TABLE clicks (id INTEGER, name VARCHAR(20))")
    redshift.clear()
    return made
