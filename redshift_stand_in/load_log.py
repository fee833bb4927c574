"""Loads and their errors in the system views, written by a session of its own: they outlive a rollback."""

from __future__ import annotations

import threading

from redshift_stand_in.backend import Backend, literal
from redshift_stand_in.convert import Column
from redshift_stand_in.errors import RowError
from redshift_stand_in.rows import Row

_TABLES = "redshift_internal"
_NOW = "(now() AT TIME ZONE 'UTC')"


class Load:
    """A running COPY.

    Attributes:
      query: its id.
    """

    def __init__(self, log: LoadLog, query: int, transaction: int, session: int, table_id: int) -> None:
        self.query = query
        self._log = log
        self._errors = 0
        self._key = f"{query}, {transaction}, {session}, {table_id}, {_NOW}"
        self._files = 0
        self._bytes = 0

    def error(self, url: str, row: Row, error: RowError, column: Column | None) -> None:
        """Record a row that could not be loaded."""
        self._errors += 1
        kind = _SHORT_TYPES.get(column.type, column.type[:10]) if column is not None else ""
        size = str(column.size) if column is not None and column.size else "0"
        where = f"{_text(url, 256)}, {row.line}, {literal(error.column)}, {literal(kind)}, {literal(size)}"
        what = f"{error.position}, {_text(row.raw)}, {_text(error.value)}, {error.code}, {_text(error.reason, 512)}"
        self._log.write(f"INSERT INTO {_TABLES}.load_errors VALUES ({self._key}, {where}, {what})")

    def file(self, url: str, lines: int, stored: int) -> None:
        """Record a file that was read."""
        self._files += 1
        self._bytes += stored
        self._log.write(f"INSERT INTO {_TABLES}.load_files VALUES ({self.query}, {_text(url, 256)}, {lines}, {stored})")

    def finished(self, rows: int) -> None:
        """Record that the load is complete; the transaction may still be rolled back."""
        self._close("completed", rows, "")

    def failed(self, reason: str) -> None:
        """Record that the load failed."""
        self._close("aborted", 0, reason)

    def _close(self, status: str, rows: int, reason: str) -> None:
        self._log.write(
            f"UPDATE {_TABLES}.loads SET status = {literal(status)}, loaded_rows = {rows}, "
            f"loaded_bytes = {self._bytes}, source_file_count = {self._files}, "
            f"error_count = {self._errors}, error_message = {_text(reason, 512)} "
            f"WHERE query = {self.query}"
        )


class LoadLog:
    """The tables behind the system views.

    Args:
      backend: a superuser's session, used for nothing else.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._lock = threading.Lock()

    def begin(self, query: int, backend: Backend, table_id: int, table: str, source: str) -> Load:
        """Record that a load begins in a client's session."""
        numbers = backend.run("SELECT txid_current(), pg_backend_pid()").rows[0]
        transaction, session = int(numbers[0] or 0), int(numbers[1] or 0)
        self.write(
            f"INSERT INTO {_TABLES}.loads "
            "(query, transaction_id, session_id, table_name, status, data_source, start_time) "
            f"VALUES ({query}, {transaction}, {session}, {_text(table, 128)}, 'running', {_text(source, 256)}, {_NOW})"
        )
        return Load(self, query, transaction, session, table_id)

    def write(self, sql: str) -> None:
        """Run a statement that is committed at once."""
        with self._lock:
            self._backend.run(sql)

    def close(self) -> None:
        """Close the session."""
        self._backend.close()


_SHORT_TYPES = {
    "character varying": "varchar", "character": "char", "integer": "int4", "bigint": "int8", "smallint": "int2",
    "double precision": "float8", "real": "float4", "boolean": "bool", "numeric": "numeric", "date": "date",
    "timestamp without time zone": "timestamp", "timestamp with time zone": "timestampt", "super": "super",
}  # fmt: skip


def _text(text: str, size: int = 1024) -> str:
    """Return a literal that fits a column of this many bytes."""
    return literal(text.encode(errors="replace")[:size].decode(errors="ignore"))
