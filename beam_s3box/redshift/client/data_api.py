"""The Redshift Data API: statements over HTTPS, without a driver and without a network path to the cluster."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from beam_s3box.errors import ConfigurationError
from beam_s3box.redshift.client.data_api_errors import translated
from beam_s3box.redshift.client.errors import clean
from beam_s3box.system import outside

MAX_STATEMENTS: Final = 40
"""Statements of one batch, which is one transaction. Source: `BatchExecuteStatement`."""

MAX_STATEMENT_BYTES: Final = 100_000
"""Bytes of one statement. Source: "Considerations when calling the Amazon Redshift Data API"."""

_ENDED = ("FINISHED", "FAILED", "ABORTED")
_SHOWN = 60
"""Characters of a statement that an error shows; the Data API's statements contain no keys."""

_PAUSE_SECONDS = (0.5, 5.0)
_SLOWER = 1.5
_CONNECT_SECONDS = 10
_READ_SECONDS = 60
_ATTEMPTS = 5


class SubStatement(NamedTuple):
    """One statement of a batch that has ended.

    Attributes:
      id: of the statement.
      status: of the statement, as the Data API names it.
      error: "" if there is none.
    """

    id: str
    status: str
    error: str


class StatementResult(NamedTuple):
    """A statement or a batch that has ended.

    Attributes:
      id: of the statement.
      status: FINISHED, FAILED or ABORTED.
      error: "" if there is none.
      created_at: the time when the Data API accepted it, by its clock; seconds since the epoch.
      process: the session's number in Redshift, 0 if there was none.
      parts: the statements of a batch.
    """

    id: str
    status: str
    error: str
    created_at: float
    process: int
    parts: tuple[SubStatement, ...]

    @property
    def is_finished(self) -> bool:
        """Whether it succeeded, and a batch is committed."""
        return self.status == "FINISHED"

    @property
    def message(self) -> str:
        """The error of a statement that failed."""
        return clean(self.error) or f"it ended as {self.status}, without a reason"


@dataclasses.dataclass(frozen=True)
class RedshiftDataApi:
    """A cluster or workgroup that is reached through the Data API, and the login.

    It contains no secret: boto3 finds the credentials, Redshift the password.

    Attributes:
      database: in which statements run.
      workgroup: of Redshift Serverless; or
      cluster: the identifier of a provisioned cluster.
      secret_arn: the secret in AWS Secrets Manager with user and password; None for IAM.
      db_user: the user that IAM logs in as, for a cluster without a secret.
      region: of the cluster; None for the one that boto3 finds.
      profile: in the AWS configuration files.
      endpoint_url: of another server with this API; None for AWS.
      client: returns the boto3 client; None to create one from the above.
      sleep: waits that many seconds, before the status of a statement is polled again.
    """

    database: str
    workgroup: str | None = None
    cluster: str | None = None
    secret_arn: str | None = None
    db_user: str | None = None
    region: str | None = None
    profile: str | None = None
    endpoint_url: str | None = None
    client: Callable[[], Any] | None = dataclasses.field(default=None, repr=False)
    sleep: Callable[[float], None] = dataclasses.field(default=outside.sleep, repr=False)

    def __post_init__(self) -> None:
        if not self.database:
            raise ConfigurationError("database= is missing: give the name of the database with the tables")
        if (self.workgroup is None) == (self.cluster is None):
            raise ConfigurationError(
                f"workgroup={self.workgroup!r}, cluster={self.cluster!r}: give one of them, for Redshift Serverless "
                "or a provisioned cluster"
            )
        if self.db_user is not None and (self.workgroup is not None or self.secret_arn is not None):
            raise ConfigurationError(
                f"db_user={self.db_user!r} is for a cluster without secret_arn: a workgroup takes the user from IAM"
            )

    @property
    def address(self) -> dict[str, str]:
        """The arguments of every request for the place and the login."""
        given = {
            "Database": self.database,
            "WorkgroupName": self.workgroup,
            "ClusterIdentifier": self.cluster,
            "SecretArn": self.secret_arn,
            "DbUser": self.db_user,
        }
        return {name: value for name, value in given.items() if value is not None}

    def connect(self) -> Statements:
        """Return the client that runs statements."""
        return Statements(translated(self.client or self._make_client, "CreateClient"), self.address, self.sleep)

    def _make_client(self) -> Any:
        import boto3
        import botocore.config

        return boto3.Session(profile_name=self.profile).client(
            "redshift-data",
            region_name=self.region,
            endpoint_url=self.endpoint_url,
            config=botocore.config.Config(
                connect_timeout=_CONNECT_SECONDS,
                read_timeout=_READ_SECONDS,
                # a request whose response was lost is repeated with the same token, and starts no second statement
                retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            ),
        )


class Statements:
    """Runs statements and waits for them."""

    def __init__(self, client: Any, address: dict[str, str], sleep: Callable[[float], None]) -> None:
        self._client = client
        self._address = address
        self._sleep = sleep

    def run(self, sql: str, token: str) -> StatementResult:
        """Run one statement, in a transaction of its own.

        Args:
          sql: the statement.
          token: the same token again gives the same statement, not another one.

        Raises:
          ConfigurationError: the statement is longer than the Data API takes.
          TransientLoadError, LoadError: the Data API can't be reached or rejects the request; whether the statement
            succeeded is in the result.
        """
        _check_size(sql)
        return self._wait("ExecuteStatement", lambda: self._client.execute_statement(**self._request(token), Sql=sql))

    def run_batch(self, sqls: Sequence[str], token: str) -> StatementResult:
        """Run several statements as one transaction; see `run`."""
        for sql in sqls:
            _check_size(sql)
        return self._wait(
            "BatchExecuteStatement",
            lambda: self._client.batch_execute_statement(**self._request(token), Sqls=list(sqls)),
        )

    def columns(self, answer: StatementResult) -> list[str]:
        """Return the names of the columns of a query that has ended."""
        page = self._page(answer.id, None)
        return [str(column.get("label") or column["name"]) for column in page["ColumnMetadata"]]

    def rows(self, answer: StatementResult, number: int | None = None) -> list[list[Any]]:
        """Return the rows of a query that has ended.

        Args:
          answer: of the query, or of a batch.
          number: of the query in the batch, from 0; None for a query that was alone.
        """
        id = answer.id if number is None else answer.parts[number].id
        rows: list[list[Any]] = []
        token = None
        while True:
            page = self._page(id, token)
            rows += [[_value(field) for field in record] for record in page["Records"]]
            token = page.get("NextToken")
            if not token:
                return rows

    def _page(self, id: str, token: str | None) -> dict[str, Any]:
        more = {"NextToken": token} if token else {}
        page: dict[str, Any] = translated(
            lambda: self._client.get_statement_result(Id=id, **more), "GetStatementResult"
        )
        return page

    def _request(self, token: str) -> dict[str, str]:
        return {**self._address, "ClientToken": token}

    def _wait(self, operation: str, submit: Callable[[], dict[str, Any]]) -> StatementResult:
        number = translated(submit, operation)["Id"]
        pause, longest = _PAUSE_SECONDS
        while True:
            described = translated(lambda: self._client.describe_statement(Id=number), "DescribeStatement")
            if described["Status"] in _ENDED:
                return _result_of(described)
            self._sleep(pause)
            pause = min(longest, pause * _SLOWER)


def _check_size(sql: str) -> None:
    size = len(sql.encode())
    if size > MAX_STATEMENT_BYTES:
        raise ConfigurationError(
            f"the statement {sql[:_SHOWN]!r}… has {size} bytes, and the Data API takes {MAX_STATEMENT_BYTES} in one: "
            "load fewer columns or manifests at once, columns with shorter names, or over a driver's connection "
            "(RedshiftConnection, --redshift_dsn)"
        )


def _result_of(described: dict[str, Any]) -> StatementResult:
    return StatementResult(
        id=described["Id"],
        status=described["Status"],
        error=described.get("Error", ""),
        created_at=described["CreatedAt"].timestamp(),
        process=max(0, described.get("RedshiftPid", 0)),
        parts=tuple(
            SubStatement(part.get("Id", ""), part.get("Status", ""), part.get("Error", ""))
            for part in described.get("SubStatements", ())
        ),
    )


def _value(field: dict[str, Any]) -> Any:
    return None if field.get("isNull") else next(iter(field.values()))
