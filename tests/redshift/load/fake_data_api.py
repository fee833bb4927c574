"""A Data API client in memory, in front of the fake server: tokens, batches as transactions, responses that get lost."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from beam_s3box.redshift.client.data_api import RedshiftDataApi
from tests.redshift.load.fakes import Connection, Server, Setup

_COLUMNS = [{"name": "id"}, {"name": "name", "label": "name"}]


def client_error(operation: str, code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "said so"}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        operation,
    )


class Client:
    """A fake of the boto3 client.

    Attributes:
      calls: names of the operations, in order.
      batch_tokens: the token of each batch that was sent.
      before, after: called with an operation's name; may raise.
      running: how many times a statement is described as running before it has ended.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.calls: list[str] = []
        self.batch_tokens: list[str] = []
        self.before: Callable[[str], None] = lambda operation: None
        self.after: Callable[[str], None] = lambda operation: None
        self.running = 0
        self._clock = 1_000.0
        self._tokens: dict[str, str] = {}
        self._statements: dict[str, dict[str, Any]] = {}
        self._rows: dict[str, list[tuple[Any, ...]]] = {}

    def execute_statement(self, *, Sql: str, ClientToken: str, **address: str) -> dict[str, Any]:
        return self._submit("ExecuteStatement", [Sql], ClientToken)

    def batch_execute_statement(self, *, Sqls: list[str], ClientToken: str, **address: str) -> dict[str, Any]:
        self.batch_tokens.append(ClientToken)
        return self._submit("BatchExecuteStatement", Sqls, ClientToken)

    def describe_statement(self, *, Id: str) -> dict[str, Any]:
        self.calls.append("DescribeStatement")
        self.before("DescribeStatement")
        described = self._statements[Id]
        if described["left"]:
            described["left"] -= 1
            return {**described, "Status": "STARTED"}
        return described

    def get_statement_result(self, *, Id: str, NextToken: str = "") -> dict[str, Any]:
        self.calls.append("GetStatementResult")
        rows = self._rows[Id]
        begin = int(NextToken or 0)
        page: dict[str, Any] = {
            "ColumnMetadata": _COLUMNS,
            "Records": [[_field(value) for value in row] for row in rows[begin : begin + 1]],
        }
        return {**page, "NextToken": str(begin + 1)} if begin + 1 < len(rows) else page

    def _submit(self, operation: str, sqls: list[str], token: str) -> dict[str, Any]:
        self.calls.append(operation)
        self.before(operation)
        if token not in self._tokens:
            self._clock += 1
            number = self._tokens[token] = f"statement-{len(self._tokens)}"
            self._statements[number] = self._run(number, sqls)
        self.after(operation)
        return {"Id": self._tokens[token]}

    def _run(self, number: str, sqls: list[str]) -> dict[str, Any]:
        connection, error = Connection(self.server), ""
        parts: list[dict[str, Any]] = []
        for sql in sqls:
            status, rows = "ABORTED", []
            if not error:
                status = "FINISHED"
                try:
                    rows = _run(connection, sql)
                except Exception as exc:  # noqa: BLE001 - as a server, it answers with what went wrong
                    fields = exc.args[0] if exc.args else ""
                    error = f"ERROR: {fields['M'] if isinstance(fields, dict) else exc}"
                    status = "FAILED"
            part = f"{number}:{len(parts) + 1}"
            self._rows[part] = rows
            # the real one reports no rows for a COPY, however many it loaded
            count = 0 if sql.startswith("COPY") else len(rows)
            failed = {"Error": error} if status == "FAILED" else {}
            parts.append({"Id": part, "Status": status, "ResultRows": count, **failed})
        if not error:
            connection.commit()
        self._rows[number] = rows
        return {
            "Id": number,
            "Status": "FAILED" if error else "FINISHED",
            "Error": error,
            "CreatedAt": datetime.datetime.fromtimestamp(self._clock, datetime.UTC),
            "RedshiftPid": 77,
            "SubStatements": parts if len(sqls) > 1 else [],
            "left": self.running,
        }


def _run(connection: Connection, sql: str) -> list[tuple[Any, ...]]:
    if not sql.startswith(("SELECT 1 / ", "SELECT pg_last_copy_count() / ")):
        return connection.execute(sql)
    connection.server.run(sql, lambda: None)
    bounds = re.search(r"pg_last_copy_count\(\) BETWEEN (\d+) AND (\d+)", sql)
    if bounds:
        holds = int(bounds[1]) <= connection._last <= int(bounds[2])
    elif "beam_s3box_loads" in sql:
        known = {*re.findall(r"manifest_url = '(.*?)' AND manifest_sha256 = '(\w+)'", sql)}
        asked = re.findall(r"'(s3:[^']*)'", sql.split("IN (")[1])
        holds = known == {(url, entry[0]) for url, entry in (connection._ledger or {}).items() if url in asked}
    else:
        holds = True
    if not holds:
        raise ZeroDivisionError("Divide by zero")
    return [(connection._last if bounds else 1,)]


def _field(value: object) -> dict[str, Any]:
    if value is None:
        return {"isNull": True}
    return {"longValue": value} if isinstance(value, int) else {"stringValue": str(value)}


class DataApiSetup(Setup):
    """A loader on a fake Data API, with manifests in memory; see `fakes.Setup`."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.server.ledger = {}
        self.client = Client(self.server)
        self.polls: list[float] = []
        self.api = RedshiftDataApi("dev", workgroup="w", client=lambda: self.client, sleep=self.polls.append)
        self.change(connection=self.api)

    @property
    def copies(self) -> int:
        """How many COPYs were run."""
        return sum(statement.startswith("COPY") for statement in self.server.statements)
