"""One stand-in for all its tests, emptied for each, and files on the S3 server for it to load."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from redshift_connector.error import Error

from redshift_stand_in import ROLE, RedshiftStandIn

_FOLDERS = itertools.count()


@pytest.fixture(scope="session")
def stand_in(s3_server: Any) -> Iterator[RedshiftStandIn]:
    reader = s3_server.reader
    with RedshiftStandIn(s3_server.endpoint_url, reader.access_key, reader.secret_key) as redshift:
        yield redshift


@pytest.fixture
def redshift(stand_in: RedshiftStandIn) -> RedshiftStandIn:
    stand_in.reset()
    return stand_in


class Files:
    """A folder on the S3 server."""

    def __init__(self, server: Any, client: Any) -> None:
        self._server = server
        self._client = client
        self._folder = f"stand-in/{next(_FOLDERS)}"

    def url(self, name: str) -> str:
        return f"s3://{self._server.bucket}/{self._folder}/{name}"

    def put(self, name: str, body: bytes) -> str:
        self._client.put_object(Bucket=self._server.bucket, Key=f"{self._folder}/{name}", Body=body)
        return self.url(name)

    def manifest(self, *entries: str | dict[str, Any], name: str = "m.manifest") -> str:
        listed = [{"url": entry, "mandatory": True} if isinstance(entry, str) else entry for entry in entries]
        return self.put(name, json.dumps({"entries": listed}).encode())


@pytest.fixture(scope="session")
def s3_client(s3_server: Any) -> Any:
    """One client for all tests: creating it takes longer than most of them."""
    return s3_server.client()


@pytest.fixture
def files(s3_server: Any, s3_client: Any) -> Files:
    return Files(s3_server, s3_client)


class Table:
    """A table `t`, and COPY into it."""

    def __init__(self, redshift: RedshiftStandIn, files: Files) -> None:
        self._files = files
        self.connection = redshift.connect()
        self.connection.autocommit = True

    def create(self, columns: str) -> Table:
        self.run(f"CREATE TABLE t ({columns})")
        return self

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        cursor = self.connection.cursor()
        cursor.execute(sql)
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def refused(self, sql: str) -> dict[str, str]:
        """Return the fields of the error."""
        with pytest.raises(Error) as caught:
            self.run(sql)
        fields: dict[str, str] = caught.value.args[0]
        return fields

    def sql(self, text: str | bytes, options: str = "FORMAT AS JSON 'auto'", target: str = "t") -> str:
        """Return a COPY of one file with this content."""
        body = text.encode() if isinstance(text, str) else text
        url = self._files.manifest(self._files.put("data.json.gz", gzip.compress(body)))
        return copy(url, f"GZIP {options}", target)

    def load(
        self, text: str | bytes, options: str = "FORMAT AS JSON 'auto'", target: str = "t"
    ) -> list[tuple[Any, ...]]:
        """Load one file and return the table."""
        self.run(self.sql(text, options, target))
        return self.run("SELECT * FROM t")

    def fails(self, text: str | bytes, options: str = "FORMAT AS JSON 'auto'") -> str:
        """Load one file that has an error, and return its reason from the system view."""
        failed = self.refused(self.sql(text, options))
        assert failed["M"] == "Load into table 't' failed.  Check 'stl_load_errors' system table for details."
        return self.reasons()[-1]

    def reasons(self) -> list[str]:
        rows = self.run(
            "SELECT trim(err_reason) FROM stl_load_errors WHERE query = pg_last_copy_id() ORDER BY line_number"
        )
        return [row[0] for row in rows]


def copy(url: str, options: str = "GZIP FORMAT AS JSON 'auto'", target: str = "t") -> str:
    return f"COPY {target} FROM '{url}' IAM_ROLE '{ROLE}' MANIFEST {options}"


@pytest.fixture
def table(redshift: RedshiftStandIn, files: Files) -> Iterator[Table]:
    table = Table(redshift, files)
    yield table
    table.connection.close()
