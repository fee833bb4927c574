"""Connections that call a test's hooks before and after each statement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Hook = Callable[[str], None]


def silent(statement: str) -> None:
    """Do nothing."""


class HookedConnection:
    """A DB-API connection that forwards everything to another; COMMIT counts as a statement."""

    autocommit = False

    def __init__(self, connection: Any, before: Hook, after: Hook) -> None:
        self._connection = connection
        self.before = before
        self.after = after

    def cursor(self) -> HookedCursor:
        return HookedCursor(self._connection.cursor(), self)

    def commit(self) -> None:
        self.before("COMMIT")
        self._connection.commit()
        self.after("COMMIT")

    def rollback(self) -> None:
        self._connection.rollback()

    def close(self) -> None:
        self._connection.close()


class HookedCursor:
    def __init__(self, cursor: Any, connection: HookedConnection) -> None:
        self._cursor = cursor
        self._hooks = connection

    def execute(self, sql: str) -> None:
        self._hooks.before(sql)
        self._cursor.execute(sql)
        self._hooks.after(sql)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


def hooked(connect: Callable[[], Any], before: Hook = silent, after: Hook = silent) -> Callable[[], HookedConnection]:
    """Return a factory of such connections."""
    return lambda: HookedConnection(connect(), before, after)
