"""One DB-API connection in one transaction. Errors of drivers are translated only here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

from beam_s3box.errors import ConfigurationError, S3BoxError, TransientLoadError, UnreachableError
from beam_s3box.redshift.client.errors import Failure, clean
from beam_s3box.redshift.sql.credentials import MASK

T = TypeVar("T")

Connect: TypeAlias = Callable[[], Any]
"""Returns a new DB-API connection, with autocommit off, as `redshift_connector.connect` and `psycopg.connect` do."""


class StatementRejected(Exception):
    """The server rejected a statement; the session goes on. It never leaves this package."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


class Session:
    """A connection that runs one transaction after the other.

    Statements have no parameters, their values are quoted: drivers differ in how they write parameters, and COPY takes
    none.

    Args:
      connect: returns the connection.
      secrets: texts that no error may show, such as keys in statements.

    Raises:
      UnreachableError: no connection could be made, for now.
      LoadError: the server rejects it.
      ConfigurationError: a connection that commits each statement.
    """

    def __init__(self, connect: Connect, secrets: Iterable[str] = ()) -> None:
        self._secrets = tuple(secrets)
        self._connection = self._open(connect)
        if getattr(self._connection, "autocommit", False):
            self.close()
            raise ConfigurationError(
                "connection= returned a connection with autocommit, where a load can't be undone: turn autocommit off"
            )

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def execute(self, sql: str) -> None:
        """Run a statement.

        Raises:
          StatementRejected: the server rejected it.
          TransientLoadError: the connection is lost, or another attempt at the whole transaction may help.
        """
        self._run(sql, lambda cursor: None)

    def query(self, sql: str) -> list[Sequence[Any]]:
        """Run a query and return its rows; raises as `execute`."""
        return self._run(sql, lambda cursor: list(cursor.fetchall()))

    def columns(self, sql: str) -> list[str]:
        """Run a query and return the names of its columns; raises as `execute`."""
        names = self._run(sql, lambda cursor: [column[0] for column in cursor.description])
        return [name.decode() if isinstance(name, bytes) else str(name) for name in names]

    def commit(self) -> None:
        """Commit; raises TransientLoadError if the connection is lost: it is unknown then whether it was committed."""
        self._translated("COMMIT", lambda: self._connection.commit())

    def rollback(self) -> None:
        """Roll back; raises as `commit`."""
        self._translated("ROLLBACK", lambda: self._connection.rollback())

    def close(self) -> None:
        """Close the connection, and so roll back an open transaction; a lost connection is no error."""
        with contextlib.suppress(Exception):
            self._connection.close()

    def _open(self, connect: Connect) -> Any:
        try:
            return connect()
        except S3BoxError:
            raise
        except Exception as exc:  # noqa: BLE001 - drivers share no base, and a broken connection raises anything
            failure, cause = self._read(exc)
            is_transient = failure.is_transient or (not failure.sqlstate and _is_of_the_network(exc))
        error = failure.error("connecting to Redshift")
        raise (UnreachableError(str(error)) if is_transient else error) from cause

    def _run(self, sql: str, read: Callable[[Any], T]) -> T:
        def work() -> T:
            cursor = self._connection.cursor()
            cursor.execute(sql)
            found = read(cursor)
            cursor.close()
            return found

        return self._translated(sql.split("\n", 1)[0][:100], work)

    def _translated(self, tried: str, work: Callable[[], T]) -> T:
        try:
            return work()
        except S3BoxError:
            raise
        except Exception as exc:  # noqa: BLE001 - drivers share no base, and a broken connection raises anything
            failure, cause = self._read(exc)
        # after the handler: otherwise an error that quotes a secret would be the context of ours
        if not failure.sqlstate:
            raise TransientLoadError(f"{tried}: the connection is lost: {failure.text}") from cause
        raise (failure.error(tried) if failure.is_transient else StatementRejected(failure)) from cause

    def _read(self, exc: Exception) -> tuple[Failure, Exception | None]:
        """Return the failure, and the error itself if a traceback may show it."""
        return read_failure(exc, self._secrets), exc if _may_be_cause(exc, self._secrets) else None


def read_failure(exc: Exception, secrets: Iterable[str] = ()) -> Failure:
    """Return what a driver's error says.

    Without SQLSTATE it did not come from the server: drivers raise all sorts of errors when the connection breaks
    in the middle of a message.
    """
    fields = exc.args[0] if exc.args and isinstance(exc.args[0], dict) else None
    if fields is not None:
        # redshift_connector: the fields of the server's message, by their letters in the protocol
        text = ": ".join(str(fields[letter]) for letter in "MDH" if fields.get(letter))
        return Failure(clean(text, secrets), str(fields.get("C", "")))
    diagnosis = getattr(exc, "diag", None)
    words = [getattr(diagnosis, name, None) for name in ("message_primary", "message_detail", "message_hint")]
    text = ": ".join(str(word) for word in words if word) or f"{type(exc).__name__}: {exc}"
    sqlstate = getattr(exc, "sqlstate", None) or getattr(exc, "pgcode", None) or ""
    return Failure(clean(text, secrets), str(sqlstate))


def _is_of_the_network(exc: Exception) -> bool:
    # drivers share no base, but PEP 249 fixes these names
    names = {kind.__name__ for kind in type(exc).__mro__}
    return isinstance(exc, OSError) or not names.isdisjoint(("InterfaceError", "OperationalError"))


def _may_be_cause(exc: Exception, secrets: Sequence[str]) -> bool:
    # drivers quote a part of the statement, which may begin or end within a key
    return not secrets and MASK not in clean(str(exc))
