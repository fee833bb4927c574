"""The Data API with the real client of boto3; mgmt:data-api and the service's model."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from typing import Any

import pytest

from redshift_stand_in import ROLE, RedshiftStandIn


@pytest.fixture(scope="module")
def shared_client(stand_in: RedshiftStandIn) -> Any:
    return stand_in.data_api()


@pytest.fixture
def client(redshift: RedshiftStandIn, shared_client: Any) -> Any:
    """The client, with an empty stand-in."""
    return shared_client


@pytest.fixture
def place(redshift: RedshiftStandIn) -> dict[str, str]:
    return {"Database": redshift.database, "WorkgroupName": redshift.workgroup}


Wait = Callable[[str], dict[str, Any]]


@pytest.fixture
def wait(client: Any) -> Wait:
    def poll(name: str) -> dict[str, Any]:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            described: dict[str, Any] = client.describe_statement(Id=name)
            if described["Status"] in ("FINISHED", "FAILED", "ABORTED"):
                return described
            time.sleep(0.02)
        raise AssertionError("it does not end")

    return poll


def test_a_statement_and_its_rows(client: Any, place: dict[str, str], wait: Wait) -> None:
    sql = "SELECT :n::bigint AS n, 'ü' AS t, 0.5::float8 AS d, true AS b, NULL AS x, 1.50::decimal(5,2) AS m"
    name = client.execute_statement(Sql=sql, Parameters=[{"name": "n", "value": "7"}], **place)["Id"]
    described = wait(name)
    assert (described["Status"], described["HasResultSet"], described["ResultRows"]) == ("FINISHED", True, 1)
    result = client.get_statement_result(Id=name)
    assert [column["name"] for column in result["ColumnMetadata"]] == ["n", "t", "d", "b", "x", "m"]
    assert result["Records"] == [
        [
            {"longValue": 7},
            {"stringValue": "ü"},
            {"doubleValue": 0.5},
            {"booleanValue": True},
            {"isNull": True},
            {"stringValue": "1.50"},
        ]
    ]


def test_copy_and_a_batch_are_one_transaction(client: Any, place: dict[str, str], wait: Wait, files: Any) -> None:
    url = files.manifest(files.put("1.gz", gzip.compress(b'{"a": 1}')))
    load = f"COPY t FROM '{url}' IAM_ROLE '{ROLE}' MANIFEST GZIP FORMAT AS JSON 'auto'"
    wait(client.execute_statement(Sql="CREATE TABLE t (a int)", **place)["Id"])
    failed = wait(client.batch_execute_statement(Sqls=[load, "SELECT 1 / 0", "SELECT 2"], **place)["Id"])
    assert (failed["Status"], failed["Error"]) == ("FAILED", "ERROR: division by zero")
    assert [one["Status"] for one in failed["SubStatements"]] == ["FINISHED", "FAILED", "ABORTED"]
    name = client.batch_execute_statement(Sqls=[load, load, "SELECT count(*) FROM t"], **place)["Id"]
    assert wait(name)["Status"] == "FINISHED"
    assert client.get_statement_result(Id=f"{name}:3")["Records"] == [[{"longValue": 2}]]


def test_a_token_runs_a_statement_once(
    client: Any, place: dict[str, str], wait: Wait, redshift: RedshiftStandIn
) -> None:
    wait(client.execute_statement(Sql="CREATE TABLE t (a int)", **place)["Id"])
    names = {
        client.execute_statement(Sql="INSERT INTO t VALUES (1)", ClientToken="x" * 64, **place)["Id"] for _ in range(3)
    }
    assert len(names) == 1
    assert wait(names.pop())["Status"] == "FINISHED"
    assert sum(seen.verb == "INSERT" for seen in redshift.seen) == 1


def test_a_lost_connection(client: Any, place: dict[str, str], wait: Wait, redshift: RedshiftStandIn) -> None:
    redshift.cut_after(1)
    described = wait(client.execute_statement(Sql="CREATE TABLE t (a int)", **place)["Id"])
    assert described["Status"] == "FAILED"
    assert "lost" in described["Error"]
    assert wait(client.execute_statement(Sql="SELECT * FROM t", **place)["Id"])["Status"] == "FINISHED"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Database": "other"}, "does not exist"),
        ({"WorkgroupName": "other"}, "Redshift endpoint doesn't exist"),
        ({"ClusterIdentifier": "stand-in"}, "exactly one of"),
        ({"SecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:other"}, "doesn't exist"),
        ({"Sql": "SELECT '" + "x" * 100_000 + "'"}, "at most 100000 bytes"),
    ],
)
def test_requests_that_are_refused(client: Any, place: dict[str, str], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(client.exceptions.ClientError, match="ValidationException") as caught:
        client.execute_statement(**{"Sql": "SELECT 1", **place, **changes})
    assert message in str(caught.value)


def test_a_cluster_needs_a_user(client: Any, redshift: RedshiftStandIn, wait: Wait) -> None:
    place = {"Database": redshift.database, "ClusterIdentifier": redshift.cluster}
    with pytest.raises(client.exceptions.ValidationException):
        client.execute_statement(Sql="SELECT 1", **place)
    for user in ({"DbUser": redshift.user}, {"SecretArn": redshift.secret_arn}):
        assert wait(client.execute_statement(Sql="SELECT 1", **place, **user)["Id"])["Status"] == "FINISHED"


def test_a_batch_has_at_most_40_statements(client: Any, place: dict[str, str]) -> None:
    with pytest.raises(client.exceptions.ClientError):
        client.batch_execute_statement(Sqls=["SELECT 1"] * 41, **place)


def test_results_that_are_not_there(client: Any, place: dict[str, str], wait: Wait) -> None:
    name = client.execute_statement(Sql="CREATE TABLE t (a int)", **place)["Id"]
    wait(name)
    for unknown in (name, "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.get_statement_result(Id=unknown)


def test_values_can_not_break_out(client: Any, place: dict[str, str], wait: Wait) -> None:
    evil = "x'; DROP TABLE t; -- \\"
    name = client.execute_statement(
        Sql="SELECT :v AS v, ':v' AS w", Parameters=[{"name": "v", "value": evil}], **place
    )["Id"]
    wait(name)
    assert client.get_statement_result(Id=name)["Records"] == [[{"stringValue": evil}, {"stringValue": ":v"}]]
