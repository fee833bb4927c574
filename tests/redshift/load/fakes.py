"""A DB-API driver and a server behind it, for faults that no real server has on demand; and manifests in memory."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from beam_s3box.redshift.load.loader import RedshiftLoader
from beam_s3box.redshift.load.settings import RETRY, LoadSettings
from beam_s3box.redshift.load.table_loads import TableCreation, TableLoads
from beam_s3box.redshift.sql.copy import CopySettings
from beam_s3box.stores.retries import Retry

ROLE = "arn:aws:iam::123456789012:role/copy"
URL = "s3://bucket/manifests/run/web/clicks/0-00000-of-00001.manifest"
OTHER = "s3://bucket/manifests/run/web/clicks/1-00000-of-00001.manifest"
FILE = "s3://bucket/data/web/clicks/a.json.gz"


def manifest_text(*files: str, records: int = 10) -> bytes:
    """Return a manifest's text; each file has this many records."""
    entries = [
        {"url": file, "mandatory": True, "meta": {"content_length": 9, "record_count": records}} for file in files
    ]
    return orjson.dumps({"entries": entries})


def table_loads(connection: Any = print, *, creates: bool = False, retry: Retry = RETRY, **settings: Any) -> TableLoads:
    """Loads into any table; the settings are those of `LoadSettings`, and the role and the format of COPY."""
    copy = CopySettings(settings.pop("iam_role", ROLE), format=settings.pop("format", "json-lines"))
    return TableLoads(
        settings=LoadSettings(connection=connection, copy=copy, retry=retry, **settings),
        creation=TableCreation() if creates else None,
    )


class OperationalError(Exception):
    """The error of drivers for a lost connection: recognized by its name, without an SQLSTATE."""


class ServerError(Exception):
    """The error of redshift_connector for an error of the server: its fields by letter."""

    def __init__(self, message: str, code: str = "XX000", detail: str = "") -> None:
        super().__init__({"S": "ERROR", "C": code, "M": message, **({"D": detail} if detail else {})})


CONFLICT = ("1023", "XX000", "\n  error:  Serializable isolation violation on table - 12345")


class Server:
    """Keeps a ledger and counts of rows, as far as the loader's statements use them.

    Attributes:
      ledger: committed entries by URL: digest and records; None as long as there is no ledger.
      rows: committed rows of the target.
      statements: all that were executed, of all connections; COMMIT too.
      faults: called with each statement before it is executed; may raise.
      after: the same, when it has been executed.
      copies: rows of each COPY, by the manifest's URL; 10 where there is none.
    """

    def __init__(self) -> None:
        self.ledger: dict[str, tuple[str, int]] | None = None
        self.rows = 0
        self.statements: list[str] = []
        self.connections = 0
        self.faults: Callable[[str], None] = lambda statement: None
        self.after: Callable[[str], None] = lambda statement: None
        self.copies: dict[str, int] = {}

    def connect(self) -> Connection:
        self.connections += 1
        self.run("CONNECT", lambda: None)
        return Connection(self)

    def run(self, statement: str, work: Callable[[], Any]) -> Any:
        self.statements.append(statement)
        self.faults(statement)
        result = work()
        self.after(statement)
        return result

    @property
    def verbs(self) -> list[str]:
        """The first two words of each statement."""
        return [" ".join(statement.split()[:2]) for statement in self.statements]


class Connection:
    autocommit = False

    def __init__(self, server: Server) -> None:
        self.server = server
        self.is_closed = False
        self._begin()

    def cursor(self) -> Cursor:
        return Cursor(self)

    def commit(self) -> None:
        self.server.run("COMMIT", self._commit)

    def rollback(self) -> None:
        self.server.statements.append("ROLLBACK")
        self._begin()

    def close(self) -> None:
        self.is_closed = True

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        answer: list[tuple[Any, ...]] = self.server.run(sql, lambda: self._work(sql))
        return answer

    def _begin(self) -> None:
        self._ledger = None if self.server.ledger is None else dict(self.server.ledger)
        self._rows = self.server.rows
        self._staged = self._last = 0

    def _commit(self) -> None:
        self.server.ledger, self.server.rows = self._ledger, self._rows
        self._begin()

    def _work(self, sql: str) -> list[tuple[Any, ...]]:
        if sql.startswith("CREATE TABLE IF NOT EXISTS"):
            self._ledger = self._ledger or {}
        elif "beam_s3box_loads" in sql:
            return self._about_ledger(sql)
        elif sql.startswith("COPY"):
            self._last = self.server.copies.get(re.findall(r"FROM '(.*?)'", sql)[0], 10)
            self._staged += self._last
        elif sql == "SELECT pg_last_copy_count()":
            return [(self._last,)]
        elif sql.startswith('DELETE FROM "public"."clicks"'):
            self._rows = 0
        elif sql.startswith('INSERT INTO "public"."clicks"'):
            self._rows += self._staged
        elif sql.startswith("SELECT COALESCE"):
            return [(0, 0)]
        return []

    def _about_ledger(self, sql: str) -> list[tuple[Any, ...]]:
        if self._ledger is None:
            raise ServerError('relation "public.beam_s3box_loads" does not exist', "42P01")
        if sql.startswith("SELECT"):
            named = re.findall(r"'(s3:.*?)'", sql)
            return [(url, *self._ledger[url], "2026-01-01 00:00:00") for url in named if url in self._ledger]
        if sql.startswith("INSERT"):
            for url, digest, records in re.findall(r"'(s3:.*?)', '(\w{64})', (\d+)", sql):
                self._ledger[url] = digest, int(records)
        if sql.startswith("DELETE"):
            for url in re.findall(r"'(s3:.*?)'", sql):
                del self._ledger[url]
        return []


class Cursor:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._answer: list[tuple[Any, ...]] = []
        self.description: list[tuple[Any, ...]] = [("id",), ("name",)]

    def execute(self, sql: str) -> None:
        self._answer = self._connection.execute(sql)

    def fetchall(self) -> Sequence[tuple[Any, ...]]:
        return self._answer

    def close(self) -> None: ...


class Setup:
    """A loader on a fake server, with manifests in memory.

    Attributes:
      texts: of manifests, by URL.
      pauses: seconds that the loader waited.
    """

    def __init__(self, **arguments: Any) -> None:
        self.server = Server()
        self.texts = {URL: manifest_text(FILE), OTHER: manifest_text(FILE + "2", records=10)}
        self.pauses: list[float] = []
        retry = Retry(4, 1.0, 30.0, sleep=self.pauses.append, random=lambda: 1.0)
        settings = {"iam_role": ROLE, "fetch": self.texts.__getitem__, "retry": retry, **arguments}
        self.loader = RedshiftLoader(self.server.connect, **settings)

    def change(self, **settings: Any) -> None:
        """Give the loader other settings."""
        self.loader = RedshiftLoader.of(dataclasses.replace(self.loader.settings, **settings))


def once(verb: str, error: Exception, times: int = 1) -> Callable[[str], None]:
    """Raise the error the first times that a statement begins with this verb."""
    left = [times]

    def fault(statement: str) -> None:
        if statement.startswith(verb) and left[0]:
            left[0] -= 1
            raise error

    return fault
