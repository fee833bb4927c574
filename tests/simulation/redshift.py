"""A Redshift in memory: one table, the ledger next to it, transactions with snapshots, and answers that never come.

It runs the statements of the real loader, over a driver's connection and over the Data API. A session outlives its
client: what a lost client has sent may be committed later, and its locks are held until the server notices.
"""

from __future__ import annotations

import collections
import json
import re
from collections.abc import Callable
from typing import Any, Final

from tests.simulation.world import World

TABLE: Final = "clicks"
_LEDGER: Final = "beam_s3box_loads"
_TARGET: Final = f'"public"."{TABLE}"'
_WRITES: Final = ("COPY", "INSERT", "DELETE")

Rows = collections.Counter[int]
Entries = dict[str, tuple[str, int]]


class OperationalError(Exception):
    """The error of drivers for a lost connection, which has no SQLSTATE."""


class ServerError(Exception):
    """The error of redshift_connector for an error of the server."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__({"S": "ERROR", "C": code, "M": message})
        self.message = message


class SimRedshift:
    """The server.

    Args:
      world: decides what fails.
      texts: of the manifests, by URL, as they are now.
      shards: the ids of the records of each shard, by URL.

    Attributes:
      rows: how often each id is in the table.
      entries: of the ledger: digest and number of records, by URL; None as long as there is no ledger.
      sizes: the number of records at each load of a manifest that was committed, by URL.
      loads: the number of the load that each process tries.
      committed: the loads that came into the table.
    """

    def __init__(self, world: World, texts: dict[str, bytes], shards: dict[str, list[int]]) -> None:
        self.world = world
        self.texts = texts
        self.shards = shards
        self.rows: Rows = collections.Counter()
        self.entries: Entries | None = None
        self.sizes: dict[str, list[int]] = collections.defaultdict(list)
        self.holder: Session | None = None
        self.loads: dict[Any, int] = {}
        self.committed: set[int | None] = set()

    @property
    def client(self) -> Any:
        """The process that asks."""
        actor = self.world._current
        return actor.process if actor else None

    def connect(self) -> Connection:
        """Return a new connection, as a driver does."""
        self.world.pause()
        if self.world.fails("no connection", 0.005):
            raise OperationalError("could not connect to server")
        return Connection(self)

    def ids_of(self, manifest: str) -> list[int]:
        """Return the records that a COPY of a manifest loads now."""
        entries = json.loads(self.texts[manifest])["entries"]
        return [number for entry in entries for number in self.shards[entry["url"]]]


class Session:
    """A session of the server, in one transaction after the other. It sees a snapshot, and its own changes.

    Args:
      server: of the session.
      client: the process that it belongs to.
      ends_with_client: whether the server rolls back when the client is gone.
    """

    def __init__(self, server: SimRedshift, client: Any, *, ends_with_client: bool) -> None:
        self._server = server
        self._client = client if ends_with_client else None
        self._load = server.loads.get(client)
        self.begin()

    def begin(self) -> None:
        """Begin a transaction; its snapshot is taken by its first statement that is no lock."""
        self._has_snapshot = self._creates = False
        self._entries: Entries | None = None
        self._rows: Rows = collections.Counter()
        self._removed: Rows = collections.Counter()
        self._added: Rows = collections.Counter()
        self._recorded: Entries = {}
        self._forgotten: set[str] = set()
        self._stage: list[int] = []
        self._last_copy = 0
        self._is_broken = False

    @property
    def is_abandoned(self) -> bool:
        """Whether its client has died."""
        return self._client is not None and self._client.is_dead

    def commit(self) -> None:
        """Commit."""
        server = self._server
        if not self._is_broken:
            if self._creates:
                server.entries = server.entries or {}
            server.rows = server.rows - self._removed + self._added
            if self._added:
                server.committed.add(self._load)
            if self._recorded or self._forgotten:
                kept = {url: entry for url, entry in (server.entries or {}).items() if url not in self._forgotten}
                server.entries = kept | self._recorded
            for url, (_, records) in self._recorded.items():
                server.sizes[url].append(records)
        self.rollback()

    def rollback(self) -> None:
        """Roll back, and give the locks free."""
        if self._server.holder is self:
            self._server.holder = None
        self.begin()

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement; raises ServerError."""
        if self._is_broken:
            raise ServerError(
                "current transaction is aborted, commands ignored until end of transaction block", "25P02"
            )
        try:
            return self._run(sql)
        except ServerError:
            self._is_broken = True
            raise

    def _run(self, sql: str) -> list[tuple[Any, ...]]:
        world = self._server.world
        if sql.startswith(_WRITES) and world.fails("serialization error", 0.01):
            raise ServerError(
                "1023: Serializable isolation violation on table - 100, transactions forming the cycle", "XX000"
            )
        if sql.startswith("LOCK"):
            return self._lock()
        if not self._has_snapshot:
            self._has_snapshot = True
            self._entries = None if self._server.entries is None else dict(self._server.entries)
            self._rows = self._server.rows.copy()
        if sql.startswith("CREATE TABLE IF NOT EXISTS"):
            return self._create()
        if sql.startswith("COPY"):
            return self._copy(re.findall(r"FROM '(.*?)'", sql)[0])
        if sql.startswith("SELECT pg_last_copy_count()"):
            return self._count(sql)
        if sql.startswith("SELECT COALESCE"):
            return [(0, 0)]
        if _LEDGER in sql and "beam_s3box_stage" not in sql:
            return self._about_ledger(sql)
        self._about_table(sql)
        return []

    def _lock(self) -> list[tuple[Any, ...]]:
        server = self._server
        if server.entries is None:
            raise ServerError(f'relation "public.{_LEDGER}" does not exist', "42P01")
        while server.holder not in (None, self):
            assert server.holder is not None
            if server.world.fails("lock timeout", 0.02):
                raise ServerError("canceling statement due to lock timeout", "55P03")
            if server.holder.is_abandoned:
                server.world.sleep(float(server.world.choices.below(8)))
                if server.holder is not None and server.holder.is_abandoned:
                    server.holder.rollback()
                continue
            server.world.sleep(0.5)
        server.holder = self
        return []

    def _create(self) -> list[tuple[Any, ...]]:
        if self._server.entries is not None and self._entries is None:
            raise ServerError(f'relation "{_LEDGER}" already exists', "42P07")
        self._creates = True
        return []

    def _copy(self, manifest: str) -> list[tuple[Any, ...]]:
        if self._server.world.fails("COPY fails", 0.005):
            raise ServerError("S3ServiceException:Please reduce your request rate.,Status 503,Error SlowDown", "XX000")
        ids = self._server.ids_of(manifest)
        self._stage += ids
        self._last_copy = len(ids)
        return []

    def _count(self, sql: str) -> list[tuple[Any, ...]]:
        bounds = re.search(r"BETWEEN (\d+) AND (\d+)", sql)
        if bounds and not int(bounds[1]) <= self._last_copy <= int(bounds[2]):
            raise ServerError("Divide by zero", "22012")
        return [(self._last_copy,)]

    def _about_ledger(self, sql: str) -> list[tuple[Any, ...]]:
        if self._entries is None:
            raise ServerError(f'relation "public.{_LEDGER}" does not exist', "42P01")
        seen = {url: entry for url, entry in self._entries.items() if url not in self._forgotten} | self._recorded
        if sql.startswith("SELECT 1 / "):
            asked = re.findall(r"'(s3:[^']*)'", sql.split("manifest_url IN (")[1])
            known = {*re.findall(r"manifest_url = '(.*?)' AND manifest_sha256 = '(\w+)'", sql)}
            if known != {(url, entry[0]) for url, entry in seen.items() if url in asked}:
                raise ServerError("Divide by zero", "22012")
            return [(1,)]
        if sql.startswith("SELECT"):
            asked = re.findall(r"'(s3:[^']*)'", sql)
            return [(url, *seen[url], "2026-01-01 00:00:00") for url in asked if url in seen]
        if sql.startswith("INSERT"):
            for url, digest, records in re.findall(r"'(s3:[^']*)', '(\w{64})', (\d+)", sql):
                self._recorded[url] = digest, int(records)
        elif sql.startswith("DELETE"):
            self._forgotten.update(re.findall(r"'(s3:[^']*)'", sql))
        return []

    def _about_table(self, sql: str) -> None:
        seen = self._rows - self._removed
        if sql.startswith(f"DELETE FROM {_TARGET} USING"):
            self._remove(collections.Counter({number: seen[number] for number in self._stage}))
        elif sql.startswith(f"DELETE FROM {_TARGET}"):
            self._remove(seen)
        elif sql.startswith(f"INSERT INTO {_TARGET}"):
            self._added.update(self._stage)

    def _remove(self, victims: Rows) -> None:
        self._removed += victims


class Connection:
    """A DB-API connection, over a network that cuts it."""

    autocommit = False

    def __init__(self, server: SimRedshift) -> None:
        self._server = server
        self._session = Session(server, server.client, ends_with_client=True)
        self._is_cut = False

    def cursor(self) -> _Cursor:
        return _Cursor(self)

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        world = self._begin("connection cut before a statement")
        found = self._session.run(sql)
        world.pause()
        if world.fails("connection cut after a statement", 0.004):
            self._cut(self._session.rollback)
        return found

    def commit(self) -> None:
        world = self._begin("connection cut before COMMIT")
        if world.fails("connection cut at COMMIT", 0.03):
            self._cut(self._session.commit)
        self._session.commit()
        world.pause()
        if world.fails("connection cut after COMMIT", 0.03):
            self._cut(self._session.rollback)

    def rollback(self) -> None:
        self._begin("connection cut before a statement")
        self._session.rollback()

    def close(self) -> None:
        if not self._is_cut:
            self._session.rollback()

    def _begin(self, fault: str) -> World:
        world = self._server.world
        world.pause()
        if self._is_cut:
            raise OperationalError("connection already closed")
        if world.fails(fault, 0.004):
            self._cut(self._session.rollback)
        return world

    def _cut(self, later: Callable[[], None]) -> None:
        """Lose the client; the server does the rest when it notices."""
        world, self._is_cut = self._server.world, True
        seconds = float(world.choices.below(12))

        def notice() -> None:
            world.sleep(seconds)
            later()

        world.spawn("server", notice)
        raise OperationalError("SSL connection has been closed unexpectedly")


class _Cursor:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._found: list[tuple[Any, ...]] = []
        self.description = [("id",)]

    def execute(self, sql: str) -> None:
        self._found = self._connection.execute(sql)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._found

    def close(self) -> None: ...
