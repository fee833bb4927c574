"""Loads over the Data API: a batch has no branches, and yet a manifest is loaded once."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, NoRegionError

from beam_s3box.errors import (
    ConfigurationError,
    CopyError,
    LoadError,
    ManifestReplacedError,
    RowCountError,
    TransientLoadError,
)
from beam_s3box.redshift.client.data_api import RedshiftDataApi
from beam_s3box.redshift.sql.ddl import create_table_sql
from beam_s3box.stores.retries import Retry
from tests.redshift.load.fake_data_api import DataApiSetup, client_error
from tests.redshift.load.fakes import FILE, OTHER, URL, ServerError, manifest_text, once


@pytest.fixture
def setup() -> DataApiSetup:
    return DataApiSetup()


def test_a_manifest_is_loaded_once(setup: DataApiSetup) -> None:
    result = setup.loader.load(URL, "clicks")
    assert (result.outcome, result.loaded, result.records, setup.server.rows) == ("loaded", (URL,), 10, 10)
    result = setup.loader.load(URL, "clicks")
    assert (result.outcome, result.skipped, setup.server.rows) == ("already-loaded", (URL,), 10)
    assert setup.client.calls.count("BatchExecuteStatement") == 1


def test_the_ledger_is_made_when_it_is_missing(setup: DataApiSetup) -> None:
    setup.server.ledger = None
    assert setup.loader.load(URL, "clicks").outcome == "loaded"
    setup.server.ledger = None
    setup.server.faults = once("CREATE TABLE IF", ServerError("permission denied for schema public"))
    with pytest.raises(LoadError, match=r"creating the ledger public.beam_s3box_loads: ERROR: permission denied"):
        setup.loader.load(OTHER, "clicks")


def test_a_running_statement_is_asked_for_ever_more_slowly(setup: DataApiSetup) -> None:
    setup.client.running = 8
    setup.loader.load(URL, "clicks", columns=["id"])
    assert setup.polls[:8] == [0.5, 0.75, 1.125, 1.6875, 2.53125, 3.796875, 5.0, 5.0]


@pytest.mark.parametrize("operation", ["ExecuteStatement", "BatchExecuteStatement", "DescribeStatement"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", ["ActiveStatementsExceededException", "InternalServerException", "lost"])
def test_an_answer_that_is_lost_ends_in_one_load(setup: DataApiSetup, operation: str, when: str, error: str) -> None:
    lost = (
        EndpointConnectionError(endpoint_url="https://redshift-data") if error == "lost" else client_error("x", error)
    )
    setattr(setup.client, when, once(operation, lost))
    if (operation, when) == ("DescribeStatement", "after"):
        setup.client.before = once(operation, lost, 2)
    result = setup.loader.load(URL, "clicks")
    assert (result.outcome, result.records, setup.server.rows, setup.copies) == ("loaded", 10, 10, 1)
    assert setup.pauses[:1] == [1.0]


def test_a_process_that_was_killed_finds_its_batch_again(setup: DataApiSetup) -> None:
    """The batch is running: it is not in the ledger yet, and the same text is the same batch."""
    setup.client.after = once("BatchExecuteStatement", KeyboardInterrupt())  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        setup.loader.load(URL, "clicks")
    committed, setup.server.ledger = setup.server.ledger, {}

    def commit(operation: str) -> None:
        if operation == "BatchExecuteStatement":
            setup.server.ledger = committed

    setup.client.before = commit
    assert setup.loader.load(URL, "clicks").outcome == "already-loaded"
    assert (setup.copies, setup.server.rows) == (1, 10)
    first, again, after = setup.client.batch_tokens
    assert first == again != after
    assert {len(first), len(after)} == {64}


def test_a_batch_that_failed_before_is_not_taken_for_this_one(setup: DataApiSetup) -> None:
    setup.server.faults = once("COPY", ServerError("Load into table failed"))
    for _ in range(2):
        with pytest.raises(CopyError, match="ERROR: Load into table failed"):
            setup.loader.load(URL, "clicks")
        setup.server.faults = once("COPY", ServerError("Load into table failed"))
    setup.server.faults = lambda statement: None
    assert setup.loader.load(URL, "clicks").outcome == "loaded"


def test_an_entry_that_was_taken_out_of_the_ledger_lets_the_manifest_in_again(setup: DataApiSetup) -> None:
    setup.loader.load(URL, "clicks")
    setup.server.ledger = {}
    assert setup.loader.load(URL, "clicks").outcome == "loaded"
    assert setup.server.rows == 20


def test_another_loader_that_was_faster_is_seen_by_the_guard(setup: DataApiSetup) -> None:
    digest: list[str] = []
    setup.loader.load(URL, "clicks")
    digest.append((setup.server.ledger or {})[URL][0])
    setup.server.ledger, setup.server.rows = {}, 0

    def another(statement: str) -> None:
        if statement.startswith("CREATE TEMP"):
            raise AssertionError("the guard let it pass")

    def commits_first(operation: str) -> None:
        if operation == "BatchExecuteStatement":
            setup.server.ledger, setup.server.rows = {URL: (digest[0], 10)}, 10

    setup.server.faults, setup.client.before = another, commits_first
    assert setup.loader.load(URL, "clicks").outcome == "already-loaded"
    assert setup.server.rows == 10


def test_a_copy_that_fails_tells_file_line_and_column(setup: DataApiSetup) -> None:
    setup.server.faults = once("COPY", ServerError("Load into table 'beam_s3box_stage' failed."))
    real = type(setup.server).run
    rows = [(FILE, 17, "name", "String length exceeds DDL length", "20")]
    setup.server.run = lambda statement, work: (  # type: ignore[method-assign]
        rows if "sys_load_error_detail\nWHERE session_id = 77 " in statement else real(setup.server, statement, work)
    )
    with pytest.raises(CopyError, match=rf"COPY of {URL} .*{FILE}, line 17, column name: String length") as caught:
        setup.loader.load(URL, "clicks")
    assert caught.value.problems[0].line == 17


def test_a_count_that_differs_is_refused(setup: DataApiSetup) -> None:
    setup.server.copies = {OTHER: 9}
    with pytest.raises(RowCountError, match=f"COPY loaded another number of rows of {OTHER}, which lists 10"):
        setup.loader.load_all([URL, OTHER], "clicks")
    assert (setup.server.rows, setup.server.ledger) == (0, {})


def test_a_conflict_is_tried_again_under_another_token(setup: DataApiSetup) -> None:
    conflict = ServerError("1023 DETAIL: Serializable isolation violation on table")
    setup.server.faults = once("INSERT", conflict, 2)
    result = setup.loader.load(URL, "clicks")
    assert (result.attempts, setup.server.rows, setup.pauses) == (3, 10, [1.0, 2.0])


def test_a_missing_table_is_named(setup: DataApiSetup) -> None:
    setup.server.faults = once("SELECT *", ServerError('relation "public.clicks" does not exist'), 9)
    with pytest.raises(LoadError, match=r"table='public.clicks' does not exist: create it"):
        setup.loader.load(URL, "clicks")
    setup.server.faults = once("CREATE TEMP", ServerError('relation "public.clicks" does not exist'), 9)
    with pytest.raises(LoadError, match=r"table='public.clicks' does not exist: create it"):
        setup.loader.load(URL, "clicks", columns=["id"])


def test_a_replaced_manifest_is_refused_or_loaded_again(setup: DataApiSetup) -> None:
    setup.loader.load(URL, "clicks")
    setup.texts[URL] = manifest_text(FILE + "new", records=10)
    with pytest.raises(ManifestReplacedError):
        setup.loader.load(URL, "clicks")
    setup.change(on_replaced="reload")
    assert setup.loader.load(URL, "clicks", "truncate").outcome == "loaded"
    assert setup.server.rows == 10
    assert setup.loader.load(URL, "clicks", "truncate").outcome == "already-loaded"


def test_more_statements_than_fit_are_refused_with_the_number_that_fits(setup: DataApiSetup) -> None:
    urls = [f"s3://bucket/{number}.manifest" for number in range(20)]
    setup.texts.update({url: manifest_text(f"{FILE}{url[-11:]}") for url in urls})
    with pytest.raises(ConfigurationError, match=r"manifests=20 make 46 statements, .* 40 .*at most 17 at once"):
        setup.loader.load_all(urls, "clicks")
    assert setup.loader.load_all(urls[:17], "clicks").records == 170
    long = [f"s3://bucket/{number}{'k' * 900}.manifest" for number in range(17)]
    setup.texts.update({url: manifest_text(f"{FILE}{url}") for url in long})
    assert setup.loader.load_all(long, "clicks").records == 170


def test_a_statement_that_is_too_long_is_refused(setup: DataApiSetup) -> None:
    columns = [f"{number:04d}{'c' * 120}" for number in range(900)]
    with pytest.raises(
        ConfigurationError, match=r"the statement 'CREATE TEMP TABLE .* has \d+ bytes, and the Data API takes 100000"
    ):
        setup.loader.load(URL, "clicks", columns=columns)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (client_error("x", "AccessDeniedException"), LoadError, "AccessDeniedException: said so; allow redshift-data:"),
        (client_error("x", "ResourceNotFoundException"), LoadError, "correct cluster, workgroup"),
        (client_error("x", "Odd", 503), TransientLoadError, r"Odd: said so \(4 attempts\)"),
        (NoRegionError(), LoadError, r"set region= \(--redshift_region\) or AWS_REGION"),
    ],
)
def test_what_the_api_refuses_says_what_to_do(
    setup: DataApiSetup, error: Exception, kind: type[LoadError], message: str
) -> None:
    setup.client.before = once("ExecuteStatement", error, 9)
    with pytest.raises(LoadError, match=message) as caught:
        setup.loader.load(URL, "clicks")
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"database": ""}, "database= is missing"),
        ({}, "give one of them"),
        ({"workgroup": "w", "cluster": "c"}, "give one of them"),
        ({"workgroup": "w", "db_user": "me"}, "db_user='me' is for a cluster"),
    ],
)
def test_an_address_that_can_not_work_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        RedshiftDataApi(**{"database": "dev", **arguments})


def test_every_request_says_where_and_who() -> None:
    assert RedshiftDataApi("dev", cluster="c", db_user="me").address == {
        "Database": "dev",
        "ClusterIdentifier": "c",
        "DbUser": "me",
    }
    assert RedshiftDataApi("dev", workgroup="w", secret_arn="arn").address == {
        "Database": "dev",
        "WorkgroupName": "w",
        "SecretArn": "arn",
    }


def test_a_table_of_many_columns_is_refused_by_the_limit_before_anything_is_sent(setup: DataApiSetup) -> None:
    """With the limit, and not with advice about the address."""
    columns = {f"{number:04d}{'c' * 120}": "VARCHAR(256)" for number in range(1_500)}
    with pytest.raises(
        ConfigurationError, match=r"CREATE TABLE .* bytes, and the Data API takes 100000 in one: .*dsn"
    ) as caught:
        setup.loader.execute("SELECT 1", create_table_sql("clicks", columns))
    assert "secret_arn" not in str(caught.value)
    assert (setup.client.calls, setup.server.statements) == ([], [])
    with pytest.raises(ConfigurationError, match="takes 100000 in one"):
        setup.api.connect().run("SELECT '" + "é" * 50_000 + "'", "token")


@pytest.mark.parametrize("committed", [True, False], ids=["committed", "not committed"])
@pytest.mark.parametrize("statuses", ["ABORTED", "FAILED"], ids=["all stopped", "the last failed"])
def test_aborted_is_no_proof_that_nothing_is_committed(setup: DataApiSetup, committed: bool, statuses: str) -> None:
    """Redshift may finish a batch that it has started; the ledger says whether it did."""
    setup.change(retry=Retry(1, 0.0, 0.0))
    real = setup.client.describe_statement

    def aborted(*, Id: str) -> dict[str, Any]:
        described = real(Id=Id)
        parts = described["SubStatements"]
        if not parts:
            return described
        stopped = [{**part, "Status": "ABORTED"} for part in parts[:-1]] + [{**parts[-1], "Status": statuses}]
        return {**described, "Status": "ABORTED", "Error": "", "SubStatements": stopped}

    setup.client.describe_statement = aborted  # type: ignore[method-assign]
    if not committed:
        setup.server.faults = once("INSERT", ServerError("the batch was stopped"))
        with pytest.raises(
            TransientLoadError, match=r"ended as ABORTED.*not known whether it was committed.*load again"
        ):
            setup.loader.load(URL, "clicks")
        assert (setup.server.rows, setup.server.ledger) == (0, {})
    result = setup.loader.load(URL, "clicks")
    assert (result.outcome, result.records, setup.server.rows) == ("loaded", 10, 10)
    assert setup.loader.load(URL, "clicks").outcome == "already-loaded"


def test_a_question_that_was_stopped_without_a_reason_is_asked_again(setup: DataApiSetup) -> None:
    real, stopped = setup.client.describe_statement, list[str]()

    def aborted(*, Id: str) -> dict[str, Any]:
        described = real(Id=Id)
        if stopped:
            return described
        stopped.append(Id)
        return {**described, "Status": "ABORTED", "Error": ""}

    setup.client.describe_statement = aborted  # type: ignore[method-assign]
    result = setup.loader.load(URL, "clicks")
    assert (result.outcome, result.attempts, setup.server.rows) == ("loaded", 2, 10)


def test_a_lock_that_is_not_given_free_is_waited_for_again(setup: DataApiSetup) -> None:
    """The Data API tells no SQLSTATE, by which a driver's connection knows it."""
    setup.server.faults = once("LOCK", ServerError("canceling statement due to lock timeout"))
    result = setup.loader.load(URL, "clicks")
    assert (result.outcome, result.attempts, setup.server.rows) == ("loaded", 2, 10)


def test_the_rows_are_those_that_the_session_counted_not_those_that_the_api_reports(setup: DataApiSetup) -> None:
    """`ResultRows` of a COPY is 0, however many rows it loaded."""
    tolerant = DataApiSetup(maxerror=3)
    tolerant.server.copies = {URL: 8}
    result = tolerant.loader.load_all([URL, OTHER], "clicks")
    assert (result.records, result.rejected, tolerant.server.rows) == (18, 2, 18)
    tolerant.server.copies = {URL: 7}
    tolerant.server.ledger = {}
    with pytest.raises(RowCountError, match="another number of rows"):
        tolerant.loader.load(URL, "clicks")
    assert setup.loader.load(URL, "clicks").records == 10


def test_batches_of_another_address_have_another_token() -> None:
    """Two databases may be asked for the same statements: the one's result is not the other's."""
    tokens: list[str] = []
    addresses: list[dict[str, str]] = [
        {"workgroup": "w"},
        {"workgroup": "other"},
        {"cluster": "w"},
        {"workgroup": "w", "database": "other"},
        {"workgroup": "w", "secret_arn": "arn"},
        {"cluster": "w", "db_user": "me"},
    ]
    for address in addresses:
        setup = DataApiSetup()
        api = RedshiftDataApi(**{"database": "dev", **address}, client=lambda client=setup.client: client)  # type: ignore[arg-type, misc]
        setup.change(connection=api)
        setup.loader.load(URL, "clicks")
        tokens += setup.client.batch_tokens
    assert len(set(tokens)) == len(tokens) == len(addresses)


def test_all_pages_of_a_result_are_read(setup: DataApiSetup) -> None:
    """The entries of the ledger may come in pages, and those of later pages count too."""
    setup.loader.load_all([URL, OTHER], "clicks")
    asked = setup.client.calls.count("GetStatementResult")
    result = setup.loader.load_all([URL, OTHER], "clicks")
    assert (result.outcome, set(result.skipped)) == ("already-loaded", {URL, OTHER})
    assert setup.client.calls.count("GetStatementResult") - asked == 2
    assert setup.server.rows == 20
