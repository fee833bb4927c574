"""Errors of servers and drivers: parsed, classified, and shown without secrets."""

from __future__ import annotations

import re

import psycopg
import pytest

from beam_s3box.errors import LoadError, TransientLoadError
from beam_s3box.redshift.client.errors import Failure, clean
from beam_s3box.redshift.client.sessions import read_failure
from beam_s3box.redshift.load.load_errors import LoadProblem, describe, problems, way_out
from tests.redshift.load.fakes import CONFLICT, FILE, ServerError

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.mark.parametrize(
    ("failure", "is_transient", "advice"),
    [
        (Failure("could not serialize access", "40001"), True, ""),
        (Failure("1023: error:  Serializable isolation violation on table", "XX000"), True, ""),
        (Failure("1018: error: Relation does not exist", "XX000"), True, ""),
        (Failure("too many connections", "53300"), True, ""),
        (Failure("the database system is starting up", "57P03"), True, ""),
        (Failure("S3ServiceException:We encountered an internal error,Status 500,Error InternalError"), True, ""),
        (Failure("S3ServiceException:Access Denied,Status 403,Error AccessDenied"), False, "s3:GetObject"),
        (Failure("User arn:aws:redshift:x is not authorized to assume IAM Role"), False, "attach the role"),
        (Failure("password authentication failed", "28P01"), False, "correct user and password"),
        (Failure("Query cancelled on user's request", "57014"), False, "statement_timeout"),
        (Failure("S3ServiceException:301,Error PermanentRedirect"), False, "region="),
        (Failure("cannot set an identity column to a value"), False, "give columns (--redshift_columns)"),
        (Failure('column "x" does not exist', "42703"), False, ""),
    ],
)
def test_failures_are_told_apart(failure: Failure, is_transient: bool, advice: str) -> None:
    error = failure.error("loading")
    assert type(error) is (TransientLoadError if is_transient else LoadError)
    assert str(error).startswith(f"loading: {failure.text}")
    assert advice in str(error)


def test_a_missing_table_is_told_by_code_or_text() -> None:
    assert Failure("x", "42P01").is_missing_table
    assert Failure('ERROR: relation "a.b" does not exist').is_missing_table
    assert not Failure('schema "a" does not exist', "3F000").is_missing_table


def test_errors_of_redshift_connector_are_read() -> None:
    assert read_failure(ServerError(*CONFLICT)) == Failure(
        "1023: error: Serializable isolation violation on table - 12345", "XX000"
    )


def test_errors_of_psycopg_are_read() -> None:
    assert read_failure(psycopg.errors.UndefinedTable("no table")) == Failure("UndefinedTable: no table", "42P01")
    assert read_failure(psycopg.OperationalError("server closed")) == Failure("OperationalError: server closed")


def test_secrets_are_masked_wherever_they_stand() -> None:
    quoted = f"syntax error at or near \"x\" LINE 3: SECRET_ACCESS_KEY '{SECRET}' REGION"
    assert SECRET not in clean(quoted)
    assert SECRET not in clean(f"near {SECRET}!", [SECRET])
    assert clean("password=hunter2 host=x") == "password=(masked) host=x"
    assert clean("PWD = 'a b' x") == "PWD = (masked) x"
    assert clean("postgresql://me:hunter2@host/db") == "postgresql://me:(masked)@host/db"
    assert clean("nothing\n  to   hide") == "nothing to hide"
    assert len(clean("x" * 10_000)) == 600


def test_problems_are_those_of_our_files_each_once() -> None:
    long = "s3://bucket/" + "k" * 300
    rows = [
        (FILE.ljust(256), 3, "name".ljust(127), "too long ".ljust(512), "20".ljust(10)),
        (FILE, 3, "name", "too long", "20"),
        (long[:256], None, None, "bad", None),
        (long[:256], 0, "", "bad", "18,2"),
        ("s3://other/x", 1, "a", "not ours", "1"),
    ]
    found = problems(rows, [FILE, long])
    assert found == (LoadProblem(FILE, 3, "name", "too long", 20), LoadProblem(long[:256], 0, "", "bad"))
    assert describe(found[:1]) == f"{FILE}, line 3, column name: too long"
    assert describe([LoadProblem("f", line, "", "r") for line in range(5)]).endswith("; f, line 2: r; and 2 more")
    assert describe([]) == ""


@pytest.mark.parametrize(
    ("problem", "said", "unsaid"),
    [
        (
            LoadProblem("f", 1, "t", "String length exceeds DDL length", 20),
            "widen the column, truncate texts with truncatecolumns",
            "65,535",
        ),
        (
            LoadProblem("f", 1, "t", "String length exceeds DDL length", 65_535),
            "no column takes more than 65,535",
            "widen",
        ),
        (
            LoadProblem("f", 1, "t", "String value exceeds the max size of 65535 bytes"),
            "65,535 bytes.*--redshift_maxerror",
            "truncatecolumns",
        ),
        (LoadProblem("f", 1, "id", "Duplicate key id in JSON object"), "a key is twice.*--redshift_maxerror", "trunc"),
        (
            LoadProblem("f", 1, "n", "Invalid digit, Value 'x'"),
            "change the column's type, .*--redshift_maxerror",
            "trunc",
        ),
    ],
)
def test_each_problem_has_a_way_out_that_helps(problem: LoadProblem, said: str, unsaid: str) -> None:
    text = way_out([problem, problem])
    assert re.search(said, text)
    assert unsaid not in text
    assert text.count("--redshift_maxerror") == 1
