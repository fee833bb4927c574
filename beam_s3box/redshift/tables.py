"""What a loader asks and tells of tables beside its loads: their columns, and statements that make or change them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from beam_s3box.errors import LoadError
from beam_s3box.redshift.data_api import MAX_STATEMENTS, Answer, DataApi, Statements
from beam_s3box.redshift.failures import Failure, clean
from beam_s3box.redshift.sessions import Connect, Refused, Session
from beam_s3box.redshift.statements import no_rows
from beam_s3box.redshift.targets import Target


def new_statement_token() -> str:
    """Return a token for a statement that may be run again."""
    return uuid.uuid4().hex


class SessionTables:
    """Tables, over DB-API connections."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def columns(self, target: Target) -> list[str]:
        """Return the names of a table's columns; raises LoadError if it is not there."""
        with Session(self._connect) as session:
            try:
                return session.columns(no_rows(target))
            except Refused as exc:
                raise _explain(exc.failure, target) from exc

    def execute(self, statements: Sequence[str]) -> None:
        """Run statements in one transaction; raises LoadError if one is refused."""
        with Session(self._connect) as session:
            try:
                for statement in statements:
                    session.execute(statement)
                session.commit()
            except Refused as exc:
                raise exc.failure.error("running statements") from exc


class DataApiTables:
    """Tables, over the Data API."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def columns(self, target: Target) -> list[str]:
        """Return the names of a table's columns; raises LoadError if it is not there."""
        answer = self._statements.run(no_rows(target), new_statement_token())
        if not answer.is_finished:
            raise _explain(_failure(answer), target)
        return self._statements.columns(answer)

    def execute(self, statements: Sequence[str]) -> None:
        """Run statements, as many in one transaction as the Data API takes; raises LoadError if one is refused."""
        for begin in range(0, len(statements), MAX_STATEMENTS):
            answer = self._statements.run_batch(statements[begin : begin + MAX_STATEMENTS], new_statement_token())
            if not answer.is_finished:
                raise _failure(answer).error("running statements")


def tables_of(connection: Connect | DataApi) -> SessionTables | DataApiTables:
    """Return the tables behind a connection."""
    return DataApiTables(connection.connect()) if isinstance(connection, DataApi) else SessionTables(connection)


def _failure(answer: Answer) -> Failure:
    return Failure(clean(answer.error))


def _explain(failure: Failure, target: Target) -> LoadError:
    if failure.is_missing_table:
        return LoadError(f"table={str(target)!r} is not there: create it, as with create_table_sql ({failure.text})")
    return failure.error(f"asking for the columns of {target}")
