"""Transactions, ids and views of loads, logins, and connections that are cut on purpose."""

from __future__ import annotations

import contextlib
import datetime
import gzip
import struct
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from redshift_connector.core import Connection
from redshift_connector.error import Error, InterfaceError

from redshift_stand_in import ROLE, RedshiftStandIn

LOST = (InterfaceError, struct.error)
"""What the driver raises when the connection is lost; the second one where it reads several messages at once."""


@pytest.fixture
def load(files: Any) -> str:
    """A COPY of one row into t."""
    url = files.manifest(files.put("1.gz", gzip.compress(b'{"a": 1}')))
    return f"COPY t FROM '{url}' IAM_ROLE '{ROLE}' MANIFEST GZIP FORMAT AS JSON 'auto'"


@pytest.fixture
def bad_load(files: Any) -> str:
    url = files.manifest(files.put("bad.gz", gzip.compress(b'{"a": 1}\n{"a": "x|"}')), name="bad.manifest")
    return f"COPY t FROM '{url}' IAM_ROLE '{ROLE}' MANIFEST GZIP FORMAT AS JSON 'auto'"


@pytest.fixture
def connection(redshift: RedshiftStandIn) -> Iterator[Connection]:
    connection = redshift.connect()
    run(connection, "CREATE TABLE t (a integer)")
    connection.commit()
    yield connection
    with contextlib.suppress(InterfaceError):
        connection.close()


def run(connection: Any, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    cursor = connection.cursor()
    cursor.execute(sql, parameters or None)
    return [tuple(row) for row in cursor.fetchall()] if cursor.description else []


def rows(redshift: RedshiftStandIn) -> int:
    """Count from another session."""
    with redshift.connect() as other:
        found: int = run(other, "SELECT count(*) FROM t")[0][0]
    return found


def test_a_copy_is_of_its_transaction(redshift: RedshiftStandIn, connection: Any, load: str) -> None:
    """dg:copy-usage_notes-multiple-files: inside BEGIN … END it goes with the rest."""
    run(connection, load)
    assert run(connection, "SELECT count(*) FROM t") == [(1,)]
    assert rows(redshift) == 0
    connection.rollback()
    assert run(connection, "SELECT count(*) FROM t") == [(0,)]
    run(connection, load)
    connection.commit()
    assert rows(redshift) == 1


def test_a_failed_copy_fails_the_transaction(connection: Any, bad_load: str) -> None:
    """dg:r_BEGIN: after an error only ROLLBACK is accepted."""
    with pytest.raises(Error, match="stl_load_errors"):
        run(connection, bad_load)
    for sql in (bad_load, "SELECT 1", "TRUNCATE t"):
        with pytest.raises(Error, match="25P02"):
            run(connection, sql)
    connection.rollback()
    assert run(connection, "SELECT count(*) FROM t") == [(0,)]


def test_copy_id_and_count(connection: Any, load: str, bad_load: str) -> None:
    """dg:PG_LAST_COPY_ID, dg:PG_LAST_COPY_COUNT."""
    ids = "SELECT pg_last_copy_id(), pg_last_copy_count()"
    assert run(connection, ids) == [(-1, 0)]
    run(connection, load)
    (first,) = run(connection, ids)
    assert first[1] == 1
    connection.commit()
    # an error before the load begins, as of syntax or access, changes nothing
    with pytest.raises(Error):
        run(connection, "COPY t FROM 's3://nowhere/x'")
    connection.rollback()
    assert run(connection, ids) == [first]
    # a load that fails is the last one, of no rows
    with pytest.raises(Error):
        run(connection, bad_load)
    connection.rollback()
    (failed,) = run(connection, ids)
    assert failed[0] > first[0]
    assert failed[1] == 0
    # a load that is rolled back is not
    run(connection, load)
    assert run(connection, ids)[0][0] > failed[0]
    connection.rollback()
    assert run(connection, ids) == [failed]


def test_errors_outlive_the_rollback(redshift: RedshiftStandIn, connection: Any, bad_load: str) -> None:
    """dg:r_STL_LOAD_ERRORS, dg:SYS_LOAD_ERROR_DETAIL: both views, padded with spaces, from any session."""
    with pytest.raises(Error):
        run(connection, bad_load)
    connection.close()
    with redshift.connect() as other:
        (old,) = run(
            other,
            "SELECT filename, line_number, colname, type, raw_field_value, err_code, err_reason, raw_line FROM stl_load_errors",
        )
        assert [len(text) for text in (old[0], old[2], old[6])] == [256, 127, 100]
        assert [text.strip() if isinstance(text, str) else text for text in old[1:]] == [
            2, "a", "int4", "x|", 1207, "Invalid digit, Value 'x', Pos 0, Type: Integer", '{"a": "x|"}',
        ]  # fmt: skip
        columns = "query_id, file_name, line_number, column_name, column_type, error_code, error_message, start_time"
        (new,) = run(other, f"SELECT {columns} FROM sys_load_error_detail")
        assert (new[1], new[2], new[6].strip()) == (old[0], 2, old[6].strip())
        assert isinstance(new[7], datetime.datetime)
        assert run(other, "SELECT trim(status), loaded_rows, error_count FROM sys_load_history") == [("aborted", 0, 1)]


def test_history_knows_loads_that_were_rolled_back(redshift: RedshiftStandIn, connection: Any, load: str) -> None:
    """dg:SYS_LOAD_HISTORY: so it can't serve as a ledger."""
    run(connection, load)
    connection.rollback()
    assert run(connection, "SELECT status, loaded_rows, source_file_count FROM sys_load_history") == [
        ("completed", 1, 1)
    ]
    assert len(run(connection, "SELECT file_name FROM sys_load_detail")[0][0]) == 256


def test_truncate_commits(redshift: RedshiftStandIn, connection: Any, load: str) -> None:
    """dg:r_TRUNCATE: it commits the transaction in which it is run."""
    run(connection, "CREATE TABLE u (a integer)")
    run(connection, load)
    run(connection, "TRUNCATE TABLE u")
    connection.rollback()
    assert rows(redshift) == 1


def test_a_snapshot_begins_after_lock(redshift: RedshiftStandIn, connection: Any, load: str) -> None:
    """dg:c_serial_isolation, dg:r_LOCK: the snapshot is taken by SELECT or DML, and not by LOCK."""
    with redshift.connect() as other:
        run(other, "SELECT 1 FROM t")
        run(connection, load)
        connection.commit()
        assert run(other, "SELECT count(*) FROM t") == [(0,)]
        other.rollback()
        run(other, "LOCK TABLE t")
        waiting = threading.Thread(target=lambda: (run(connection, load), connection.commit()))
        waiting.start()
        run(other, "INSERT INTO t VALUES (5)")
        other.commit()
        waiting.join()
    assert rows(redshift) == 3


def test_wrong_logins(redshift: RedshiftStandIn) -> None:
    """mgmt:connecting-to-cluster: user, password and database are checked."""
    # with psycopg: the other driver leaves its socket open when it is refused
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(redshift.dsn, password="wrong")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(redshift.dsn, dbname="other")
    with pytest.raises(psycopg.OperationalError, match="does not support SSL"):
        psycopg.connect(redshift.dsn, sslmode="require")


def test_psycopg_is_a_client_too(redshift: RedshiftStandIn, connection: Any, load: str) -> None:
    """Simple queries without parameters, several in one, and extended ones with them."""
    with psycopg.connect(redshift.dsn) as other:
        other.execute(load)
        assert other.execute("SELECT a FROM t WHERE a = %s", (1,)).fetchall() == [(1,)]
        with pytest.raises(psycopg.Error):
            other.execute("SELECT nothing FROM t WHERE a = %s", (1,))
        other.rollback()
        other.execute("INSERT INTO t VALUES (2); INSERT INTO t VALUES (3)")
    assert rows(redshift) == 2
    with psycopg.connect(redshift.dsn, autocommit=True) as other:
        with pytest.raises(psycopg.errors.DivisionByZero):
            other.execute("INSERT INTO t VALUES (4); SELECT 1 / 0")
        assert other.execute("SELECT count(*) FROM t").fetchall() == [(2,)]


def transaction(redshift: RedshiftStandIn, *statements: str, autocommit: bool = False) -> None:
    with redshift.connect() as other:
        other.autocommit = autocommit
        for sql in statements:
            run(other, sql)
        if not autocommit:
            other.commit()


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_cut_at_any_statement(redshift: RedshiftStandIn, connection: Any, load: str, when: str, number: int) -> None:
    """dg:copy-usage_notes-multiple-files: a session that is lost inside BEGIN … END is rolled back; COMMIT is the fourth."""
    redshift.clear()
    getattr(redshift, f"cut_{when}")(number)
    with pytest.raises(LOST):
        transaction(redshift, load, "INSERT INTO t VALUES (2)")
    assert redshift.waiting == []
    assert [seen.number for seen in redshift.seen] == list(range(1, number + 1))
    assert rows(redshift) == (2 if (when, number) == ("after", 4) else 0)


@pytest.mark.parametrize(("cut", "found"), [("cut_before_commit", 0), ("cut_after_commit", 1)])
def test_a_cut_at_commit(redshift: RedshiftStandIn, connection: Any, load: str, cut: str, found: int) -> None:
    """The outcome of a COMMIT whose response is lost is unknown to the client: both are tried."""
    getattr(redshift, cut)()
    with pytest.raises(LOST):
        transaction(redshift, load)
    assert redshift.waiting == []
    assert rows(redshift) == found


def test_an_autocommit_copy_survives_its_client(redshift: RedshiftStandIn, connection: Any, load: str) -> None:
    """dg:copy-usage_notes-multiple-files: outside a transaction the load goes on, as any statement does."""
    for number, sql in enumerate((load, "INSERT INTO t VALUES (2)"), start=1):
        redshift.cut_after(1)
        with pytest.raises(LOST):
            transaction(redshift, sql, autocommit=True)
        assert rows(redshift) == number


def test_the_log(redshift: RedshiftStandIn, connection: Any) -> None:
    redshift.clear()
    run(connection, "SELECT %s::integer", 5)
    connection.commit()
    assert redshift.statements == ["begin transaction", "SELECT $1::integer", "commit"]
    assert [(seen.number, seen.verb) for seen in redshift.seen][1:] == [
        (redshift.seen[0].number + 1, "SELECT"),
        (redshift.seen[0].number + 2, "COMMIT"),
    ]


def test_reset_forgets_everything(redshift: RedshiftStandIn, connection: Any, bad_load: str) -> None:
    with pytest.raises(Error):
        run(connection, bad_load)
    redshift.cut_before(1)
    redshift.reset()
    assert (redshift.waiting, redshift.seen) == ([], [])
    with redshift.connect() as other:
        assert run(other, "SELECT count(*) FROM stl_load_errors") == [(0,)]
        with pytest.raises(Error, match="42P01"):
            run(other, "SELECT * FROM t")
        other.rollback()


def test_keys_are_checked_by_s3(redshift: RedshiftStandIn, connection: Any, load: str) -> None:
    """dg:copy-parameters-authorization: with keys their permissions count."""
    keys = load.replace(f"IAM_ROLE '{ROLE}'", "ACCESS_KEY_ID 'nobody' SECRET_ACCESS_KEY 'wrong'")
    with pytest.raises(Error, match="Status 403"):
        run(connection, keys)
    connection.rollback()
    run(connection, keys.replace("nobody", "reader-access-key").replace("wrong", "reader-secret-key"))
    assert run(connection, "SELECT count(*) FROM t") == [(1,)]
