"""Tables besides their loads: their columns, and statements that create or change them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from beam_s3box.errors import LoadError
from beam_s3box.redshift.client.data_api import MAX_STATEMENTS, RedshiftDataApi, StatementResult, Statements
from beam_s3box.redshift.client.errors import Failure
from beam_s3box.redshift.client.sessions import Connect, Session, StatementRejected
from beam_s3box.redshift.load.loaded_columns import LoadedColumns, columns_of_table, columns_with_defaults
from beam_s3box.redshift.load.statements import no_rows
from beam_s3box.redshift.sql.target import Target
from beam_s3box.system import outside


def new_statement_token() -> str:
    """Return a token for a statement that may be repeated."""
    return outside.token()


class SessionTables:
    """Tables, over DB-API connections."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def columns(self, target: Target) -> list[str]:
        """Return the names of a table's columns; raises LoadError if it does not exist."""
        with Session(self._connect) as session:
            return _columns(session, target)

    def loadable(self, target: Target) -> LoadedColumns:
        """Return the columns that a load fills by default; raises LoadError if the table does not exist."""
        with Session(self._connect) as session:
            return loadable_columns(session, target)

    def execute(self, statements: Sequence[str]) -> None:
        """Run statements in one transaction; raises LoadError if one is rejected."""
        with Session(self._connect) as session:
            try:
                for statement in statements:
                    session.execute(statement)
                session.commit()
            except StatementRejected as exc:
                raise exc.failure.error("running statements") from exc

    def rows(self, query: str) -> list[Sequence[Any]] | None:
        """Return the rows of a query, None if it names a table that does not exist; raises LoadError."""
        with Session(self._connect) as session:
            try:
                return session.query(query)
            except StatementRejected as exc:
                _check_missing_table(exc.failure)
                return None


class DataApiTables:
    """Tables, over the Data API."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def columns(self, target: Target) -> list[str]:
        """Return the names of a table's columns; raises LoadError if it does not exist."""
        answer = self._statements.run(no_rows(target), new_statement_token())
        if not answer.is_finished:
            raise _explain(_failure(answer), target)
        return self._statements.columns(answer)

    def loadable(self, target: Target) -> LoadedColumns:
        """Return the columns that a load fills by default; raises LoadError if the table does not exist."""
        names = self.columns(target)
        answer = self._statements.run(columns_with_defaults(target), new_statement_token())
        if not answer.is_finished:
            raise _explain(_failure(answer), target)
        return columns_of_table(target, names, self._statements.rows(answer))

    def execute(self, statements: Sequence[str]) -> None:
        """Run statements, as many in one transaction as the Data API takes; raises LoadError if one is rejected."""
        for begin in range(0, len(statements), MAX_STATEMENTS):
            answer = self._statements.run_batch(statements[begin : begin + MAX_STATEMENTS], new_statement_token())
            if not answer.is_finished:
                raise _failure(answer).error("running statements")

    def rows(self, query: str) -> list[Sequence[Any]] | None:
        """Return the rows of a query, None if it names a table that does not exist; raises LoadError."""
        answer = self._statements.run(query, new_statement_token())
        if answer.is_finished:
            return list(self._statements.rows(answer))
        _check_missing_table(_failure(answer))
        return None


def _check_missing_table(failure: Failure) -> None:
    """Raise LoadError unless a table does not exist."""
    if not failure.is_missing_table:
        raise failure.error("asking what is loaded")


def tables_of(connection: Connect | RedshiftDataApi) -> SessionTables | DataApiTables:
    """Return the tables of a connection."""
    return DataApiTables(connection.connect()) if isinstance(connection, RedshiftDataApi) else SessionTables(connection)


def loadable_columns(session: Session, target: Target) -> LoadedColumns:
    """Return the columns that a load fills by default, in the session's transaction.

    Raises:
      LoadError: the table does not exist, or has no such column.
    """
    names = _columns(session, target)
    try:
        return columns_of_table(target, names, session.query(columns_with_defaults(target)))
    except StatementRejected as exc:
        raise _explain(exc.failure, target) from exc


def _columns(session: Session, target: Target) -> list[str]:
    try:
        return session.columns(no_rows(target))
    except StatementRejected as exc:
        raise _explain(exc.failure, target) from exc


def _failure(answer: StatementResult) -> Failure:
    return Failure(answer.message)


def missing_table(target: Target, failure: Failure) -> LoadError:
    """Return the error for a table that does not exist."""
    return LoadError(
        f"table={str(target)!r} does not exist: create it, for instance with create_tables "
        f"(--redshift_create_tables) or s3box create-table ({failure.text})"
    )


def _explain(failure: Failure, target: Target) -> LoadError:
    if failure.is_missing_table:
        return missing_table(target, failure)
    return failure.error(f"asking for the columns of {target}")
