"""Statements of the Data API: run in the background through the proxy, described and fetched later; mgmt:data-api."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from redshift_stand_in.backend import Answer, Backend, literal
from redshift_stand_in.data_results import column_metadata, field
from redshift_stand_in.errors import RedshiftError

_MAX_STATEMENTS = 40
_MAX_SQL = 100_000
_MAX_TOKEN = 64
_MAX_NAME = 2_048
_MAX_ACTIVE = 200
_PARAMETER = re.compile(r"'(?:[^'\\]|''|\\.)*'|\"[^\"]*\"|(?<!:):([A-Za-z_]\w*)", re.DOTALL)


class DataApiError(Exception):
    """A request that is rejected.

    Args:
      kind: name of the exception, such as ValidationException.
      message: of the error.
    """

    def __init__(self, kind: str, message: str, **more: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.more = more


@dataclasses.dataclass
class Job:
    """One request to run statements.

    Attributes:
      id: id of the job.
      statements: with their parameters inserted.
      request: of the client.
      status: SUBMITTED, STARTED, FINISHED, FAILED or ABORTED.
      answers: results of the statements that are done.
    """

    id: str
    statements: list[str]
    request: dict[str, Any]
    status: str = "SUBMITTED"
    error: str = ""
    answers: list[Answer] = dataclasses.field(default_factory=list)
    created: float = dataclasses.field(default_factory=time.time)
    updated: float = dataclasses.field(default_factory=time.time)


class Jobs:
    """All jobs of the stand-in.

    Args:
      open_session: logs in through the proxy, like any client.
      database: the only one.
      compute: names of the cluster and the workgroup.
      secret_arn: ARN of the secret with the user's password.
      user: user of the database.
    """

    def __init__(
        self, open_session: Callable[[], Backend], database: str, compute: dict[str, str], secret_arn: str, user: str
    ) -> None:
        self._open_session = open_session
        self._database = database
        self._compute = compute
        self._secret_arn = secret_arn
        self._user = user
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._tokens: dict[str, str] = {}
        self._threads: list[threading.Thread] = []

    def execute(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run one statement."""
        return self._submit(request, [_filled(request["Sql"], request.get("Parameters") or [])])

    def batch(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run up to 40 statements as one transaction."""
        if not 1 <= len(request["Sqls"]) <= _MAX_STATEMENTS:
            raise _invalid(f"Sqls has 1 to {_MAX_STATEMENTS} statements, not {len(request['Sqls'])}")
        return self._submit(request, [_filled(sql, request.get("Parameters") or []) for sql in request["Sqls"]])

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the status of a job."""
        job = self._find(request["Id"].partition(":")[0])
        described = {
            "Id": job.id, "Status": job.status, "CreatedAt": job.created, "UpdatedAt": job.updated,
            "Database": job.request["Database"], "DbUser": self._user, "RedshiftPid": 0,
            "RedshiftQueryId": -1,
            "Duration": int((job.updated - job.created) * 1e9), "HasResultSet": any(one.columns for one in job.answers),
            "ResultRows": _result_rows(job.answers[-1]) if job.status == "FINISHED" else -1, "ResultSize": 0,
            "QueryString": job.statements[0] if len(job.statements) == 1 else "",
        }  # fmt: skip
        if job.error:
            described["Error"] = job.error
        if "Sqls" in job.request:
            described["SubStatements"] = [_sub_statement(job, number) for number in range(len(job.statements))]
        return described

    def result(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the rows of a statement; the n-th of a batch is `id:n`."""
        name, _, number = request["Id"].partition(":")
        job = self._find(name)
        if job.status != "FINISHED":
            raise DataApiError("ResourceNotFoundException", f"Query is not finished: {job.status}", ResourceId=name)
        answer = job.answers[int(number or 1) - 1]
        if not answer.columns:
            raise DataApiError("ResourceNotFoundException", "Query does not have result.", ResourceId=name)
        return {
            "ColumnMetadata": [column_metadata(label, oid) for label, oid in answer.columns],
            "Records": [
                [field(value, oid) for value, (_, oid) in zip(row, answer.columns, strict=True)] for row in answer.rows
            ],
            "TotalNumRows": len(answer.rows),
        }

    def cancel(self, request: dict[str, Any]) -> dict[str, Any]:
        """Reject: a job has ended before a client could cancel it."""
        job = self._find(request["Id"])
        raise _invalid(f"Could not cancel a query that is already in {job.status} state with ID: {job.id}")

    def all(self, request: dict[str, Any]) -> dict[str, Any]:
        """List all jobs, the newest first."""
        with self._lock:
            jobs = sorted(self._jobs.values(), key=lambda job: -job.created)
        return {
            "Statements": [
                {"Id": job.id, "Status": job.status, "StatementName": job.request.get("StatementName", "")}
                for job in jobs
            ]
        }

    def close(self) -> None:
        """Wait for all jobs to end."""
        for thread in self._threads:
            thread.join()

    def _submit(self, request: dict[str, Any], statements: list[str]) -> dict[str, Any]:
        self._check(request, statements)
        token = request.get("ClientToken")
        with self._lock:
            known = self._tokens.get(token or "")
            if known is not None:
                return self._accepted(self._jobs[known])
            active = sum(job.status in ("SUBMITTED", "STARTED") for job in self._jobs.values())
            if active >= _MAX_ACTIVE:
                raise DataApiError("ActiveStatementsExceededException", "Active statements exceeded the allowed quota")
            job = Job(str(uuid.uuid4()), statements, request)
            self._jobs[job.id] = job
            if token:
                self._tokens[token] = job.id
        thread = threading.Thread(target=self._run, args=(job,), name="redshift-data-job", daemon=True)
        self._threads.append(thread)
        thread.start()
        return self._accepted(job)

    def _accepted(self, job: Job) -> dict[str, Any]:
        names = ("Database", "ClusterIdentifier", "WorkgroupName", "DbUser", "SecretArn")
        kept = {name: job.request[name] for name in names if name in job.request}
        return {"Id": job.id, "CreatedAt": job.created, **kept}

    def _check(self, request: dict[str, Any], statements: list[str]) -> None:
        if request.get("Database") != self._database:
            raise _invalid(f"Database {request.get('Database')!r} does not exist")
        named = {key: request[key] for key in self._compute if key in request}
        if len(named) != 1:
            raise _invalid("exactly one of ClusterIdentifier and WorkgroupName is required")
        for key, name in named.items():
            if name != self._compute[key]:
                raise _invalid(f"Redshift endpoint doesn't exist in this region: {name}")
        self._check_user(request)
        if len(request.get("ClientToken") or "") > _MAX_TOKEN or len(request.get("StatementName") or "") > _MAX_NAME:
            raise _invalid(f"ClientToken has at most {_MAX_TOKEN} characters, StatementName {_MAX_NAME}")
        for sql in statements:
            if len(sql.encode()) > _MAX_SQL:
                raise _invalid(f"a statement has at most {_MAX_SQL} bytes, not {len(sql.encode())}")

    def _check_user(self, request: dict[str, Any]) -> None:
        if request.get("SecretArn") not in (None, self._secret_arn):
            raise _invalid(f"Secret {request['SecretArn']} doesn't exist")
        if "DbUser" in request and request["DbUser"] != self._user:
            raise _invalid(f"user {request['DbUser']} doesn't exist")
        if "ClusterIdentifier" in request and "DbUser" not in request and "SecretArn" not in request:
            raise _invalid("a cluster needs DbUser or SecretArn")

    def _find(self, name: str) -> Job:
        with self._lock:
            if name not in self._jobs:
                raise DataApiError("ResourceNotFoundException", f"Query {name} does not exist.", ResourceId=name)
            return self._jobs[name]

    def _run(self, job: Job) -> None:
        job.status = "STARTED"
        try:
            with contextlib.closing(self._open_session()) as session:
                _run_all(session, job)
            status = "FINISHED"
        except RedshiftError as exc:
            status, job.error = "FAILED", f"ERROR: {exc.message}"
        except (EOFError, OSError) as exc:
            status, job.error = "FAILED", f"Connection to the cluster was lost: {exc}"
        job.updated = time.time()
        job.status = status


def _run_all(session: Backend, job: Job) -> None:
    together = len(job.statements) > 1
    if together:
        session.run("BEGIN")
    for sql in job.statements:
        job.answers.append(session.run(sql))
    if together and session.status == "T":
        session.run("COMMIT")


def _filled(sql: str, parameters: list[dict[str, str]]) -> str:
    """Insert values for `:name`: texts, neither identifiers nor NULL; boto3 itself rejects empty ones."""
    values = {parameter["name"]: parameter["value"] for parameter in parameters}

    def put_in(match: re.Match[str]) -> str:
        name = match.group(1)
        return literal(values[name]) if name in values else match.group()

    return _PARAMETER.sub(put_in, sql) if values else sql


def _result_rows(answer: Answer) -> int:
    last = answer.tag.rpartition(" ")[2]
    return len(answer.rows) if answer.columns else int(last) if last.isdigit() else 0


def _sub_statement(job: Job, number: int) -> dict[str, Any]:
    done = number < len(job.answers)
    ended = "FAILED" if number == len(job.answers) else "ABORTED"
    answer = job.answers[number] if done else Answer()
    return {
        "Id": f"{job.id}:{number + 1}", "QueryString": job.statements[number], "HasResultSet": bool(answer.columns),
        "Status": "FINISHED" if done else ended if job.status == "FAILED" else job.status,
        "ResultRows": _result_rows(answer) if done else -1, "CreatedAt": job.created, "UpdatedAt": job.updated,
    }  # fmt: skip


def _invalid(message: str) -> DataApiError:
    return DataApiError("ValidationException", message)
