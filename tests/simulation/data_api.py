"""The Data API of a Redshift in memory: statements run in sessions of their own, and answers may never come."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any, Final

from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from tests.simulation.redshift import ServerError, Session, SimRedshift

_URL: Final = "https://redshift-data.example"


class DataApi:
    """boto3's client of the Data API."""

    def __init__(self, server: SimRedshift) -> None:
        self._server = server
        self._statements: dict[str, dict[str, Any]] = {}
        self._rows: dict[str, list[tuple[Any, ...]]] = {}
        self._tokens: dict[str, str] = {}

    def execute_statement(self, *, Sql: str, ClientToken: str, **address: str) -> dict[str, Any]:
        return self._request("ExecuteStatement", lambda: self._submit([Sql], ClientToken))

    def batch_execute_statement(self, *, Sqls: list[str], ClientToken: str, **address: str) -> dict[str, Any]:
        return self._request("BatchExecuteStatement", lambda: self._submit(Sqls, ClientToken))

    def describe_statement(self, *, Id: str) -> dict[str, Any]:
        return self._request("DescribeStatement", lambda: dict(self._statements[Id]))

    def get_statement_result(self, *, Id: str, NextToken: str = "") -> dict[str, Any]:
        def answer() -> dict[str, Any]:
            records = [[_field(value) for value in row] for row in self._rows[Id]]
            return {"ColumnMetadata": [{"name": "id"}], "Records": records}

        return self._request("GetStatementResult", answer)

    def _request(self, operation: str, effect: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        world = self._server.world
        world.pause()
        if world.fails("request lost", 0.004):
            raise ConnectionClosedError(endpoint_url=_URL)
        if world.fails("throttled", 0.004):
            answer: Any = {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}
            raise ClientError(answer, operation)
        answer = effect()
        world.pause()
        if world.fails("answer lost", 0.004):
            raise ReadTimeoutError(endpoint_url=_URL)
        return answer  # type: ignore[no-any-return]

    def _submit(self, sqls: list[str], token: str) -> dict[str, Any]:
        if token not in self._tokens:
            world = self._server.world
            number = self._tokens[token] = f"statement-{len(self._tokens)}"
            created = datetime.datetime.fromtimestamp(world.now, datetime.UTC)
            self._statements[number] = {"Id": number, "Status": "SUBMITTED", "CreatedAt": created, "RedshiftPid": 7}
            session = Session(self._server, self._server.client, ends_with_client=False)
            world.spawn("statement", lambda: self._work(number, sqls, session))
        return {"Id": self._tokens[token]}

    def _work(self, number: str, sqls: list[str], session: Session) -> None:
        world, answer = self._server.world, self._statements[number]
        parts: list[dict[str, Any]] = []
        error = ""
        for sql in sqls:
            world.sleep(0.05)
            status, rows = "ABORTED", []
            if not error:
                if world.fails("statement aborted", 0.004):
                    answer["Status"] = "ABORTED"
                    if world.choices.below(2):
                        session.rollback()
                        return
                    world.sleep(float(world.choices.below(15)))  # and goes on
                try:
                    status, rows = "FINISHED", session.run(sql)
                except ServerError as exc:
                    status, error = "FAILED", f"ERROR: {exc.message}"
            part = f"{number}:{len(parts) + 1}"
            self._rows[part] = self._rows[number] = rows
            parts.append({"Id": part, "Status": status, **({"Error": error} if status == "FAILED" else {})})
        if not error and world.fails("connection cut at COMMIT", 0.01):
            error = "ERROR: connection to the cluster was lost"
            if world.choices.below(2):
                session.commit()
        (session.rollback if error else session.commit)()
        if answer["Status"] != "ABORTED":
            answer.update(Status="FAILED" if error else "FINISHED", Error=error)
            answer["SubStatements"] = parts if len(sqls) > 1 else []


def _field(value: object) -> dict[str, Any]:
    return {"longValue": value} if isinstance(value, int) else {"stringValue": str(value)}
