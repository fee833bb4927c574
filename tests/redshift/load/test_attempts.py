"""The loader's sequence of statements, on a server that fails on demand."""

from __future__ import annotations

import pytest

from beam_s3box.errors import (
    ConfigurationError,
    CopyError,
    LoadError,
    ManifestReplacedError,
    RowCountError,
    TransientLoadError,
)
from tests.redshift.load.fakes import (
    CONFLICT,
    FILE,
    OTHER,
    URL,
    OperationalError,
    ServerError,
    Setup,
    manifest_text,
    once,
)

LOST = OperationalError("server closed the connection unexpectedly")
IN_ORDER = [
    "CONNECT",
    "LOCK TABLE",
    "ROLLBACK",
    "CREATE TABLE",
    "COMMIT",
    "LOCK TABLE",
    "SELECT manifest_url,",
    "SELECT *",
    "SELECT a.attname,",
    "CREATE TEMP",
    'COPY "beam_s3box_stage"',
    "SELECT pg_last_copy_count()",
    "INSERT INTO",
    "INSERT INTO",
    "DROP TABLE",
    "COMMIT",
]


@pytest.fixture
def setup() -> Setup:
    return Setup()


def test_the_first_load_makes_the_ledger_and_locks_it_before_anything_else(setup: Setup) -> None:
    result = setup.loader.load(URL, "clicks")
    assert setup.server.verbs == IN_ORDER
    assert (result.outcome, result.loaded, result.records, result.attempts) == ("loaded", (URL,), 10, 1)
    assert (setup.server.rows, list(setup.server.ledger or {})) == (10, [URL])


def test_the_second_load_asks_the_ledger_and_does_nothing(setup: Setup) -> None:
    setup.loader.load(URL, "clicks")
    setup.server.statements.clear()
    result = setup.loader.load(URL, "clicks")
    assert (result.outcome, result.skipped, result.records, result.rejected) == ("already-loaded", (URL,), 0, 0)
    assert setup.server.verbs == ["CONNECT", "LOCK TABLE", "SELECT manifest_url,"]
    assert setup.server.rows == 10


@pytest.mark.parametrize("verb", sorted({*IN_ORDER} - {"CONNECT", "ROLLBACK"}))
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_lost_at_any_statement_ends_in_one_load(setup: Setup, verb: str, when: str) -> None:
    fault = once(verb, LOST)
    if when == "before":
        setup.server.faults = fault
    else:
        setup.server.after = fault
    result = setup.loader.load(URL, "clicks")
    assert (result.outcome, result.records, setup.server.rows) == ("loaded", 10, 10)
    assert setup.pauses == [1.0]


def test_a_commit_whose_answer_is_lost_is_found_in_the_ledger(setup: Setup) -> None:
    setup.server.ledger = {}
    setup.server.after = once("COMMIT", LOST)
    result = setup.loader.load(URL, "clicks")
    assert (result.outcome, result.loaded, result.records, result.attempts) == ("loaded", (URL,), 10, 2)
    assert setup.server.verbs.count('COPY "beam_s3box_stage"') == 1
    assert setup.server.verbs[-2:] == ["LOCK TABLE", "SELECT manifest_url,"]


def test_a_loader_that_gives_up_in_doubt_says_so_and_can_be_called_again(setup: Setup) -> None:
    setup.server.ledger = {}
    setup.server.after = once("COMMIT", LOST)
    setup.server.faults = lambda statement: once("CONNECT", LOST)(statement) if setup.server.connections > 1 else None
    with pytest.raises(TransientLoadError, match=r"not known whether it was committed; load again.*not loaded twice"):
        setup.loader.load(URL, "clicks")
    assert setup.pauses == [1.0, 2.0, 4.0]
    setup.server.faults = lambda statement: None
    assert setup.loader.load(URL, "clicks").outcome == "already-loaded"
    assert setup.server.rows == 10


@pytest.mark.parametrize(
    "error",
    [
        ServerError(*CONFLICT),
        ServerError("deadlock detected", "40P01"),
        ServerError("terminating connection due to administrator command", "57P01"),
        ServerError("S3ServiceException:Please reduce your request rate.,Status 503,Error SlowDown"),
        ConnectionResetError("reset"),
        ValueError("not enough values to unpack"),
    ],
    ids=["conflict", "deadlock", "shut-down", "slow-down", "reset", "half-a-message"],
)
def test_what_may_pass_is_tried_again_as_a_whole_transaction(setup: Setup, error: Exception) -> None:
    setup.server.faults = once("COPY", error, times=2)
    assert setup.loader.load(URL, "clicks").attempts == 3
    assert setup.server.verbs.count("LOCK TABLE") == 4
    assert (setup.server.rows, setup.pauses) == (10, [1.0, 2.0])


def test_a_conflict_at_the_commit_is_tried_again(setup: Setup) -> None:
    setup.server.ledger = {}
    setup.server.faults = once("COMMIT", ServerError(*CONFLICT))
    assert (setup.loader.load(URL, "clicks").attempts, setup.server.rows) == (2, 10)


def test_what_will_not_pass_is_not_tried_again(setup: Setup) -> None:
    setup.server.faults = once("INSERT", ServerError("permission denied for relation clicks", "42501"), 9)
    with pytest.raises(LoadError, match=r"loading into public.clicks: permission denied .*\[42501\]; grant") as caught:
        setup.loader.load(URL, "clicks")
    assert type(caught.value) is LoadError
    assert (setup.pauses, setup.server.rows, setup.server.ledger) == ([], 0, {})


def test_a_refused_login_is_not_tried_again(setup: Setup) -> None:
    setup.server.faults = once("CONNECT", ServerError("password authentication failed", "28P01"), 9)
    with pytest.raises(LoadError, match=r"connecting to Redshift: password authentication failed.*correct user"):
        setup.loader.load(URL, "clicks")
    assert setup.server.connections == 1


def test_a_copy_that_fails_tells_file_line_and_column(setup: Setup) -> None:
    rows = [
        (f"{FILE}   ", 17, "name      ", "String length exceeds DDL length   ", "20  "),
        ("s3://other", 1, "x", "not ours", ""),
    ]

    def fault(statement: str) -> None:
        if statement.startswith("COPY"):
            raise ServerError("Load into table 'beam_s3box_stage' failed.")
        if "sys_load_error_detail" in statement:
            raise ServerError('relation "sys_load_error_detail" does not exist', "42P01")

    setup.server.faults = fault
    real = type(setup.server).run
    setup.server.run = lambda statement, work: (  # type: ignore[method-assign]
        rows if "stl_load_errors" in statement else real(setup.server, statement, work)
    )
    with pytest.raises(
        CopyError, match=rf"COPY of {URL} into public.clicks: Load .*{FILE}, line 17, column name: String"
    ):
        setup.loader.load(URL, "clicks")
    assert (setup.server.rows, setup.server.ledger) == (0, {})


def test_a_copy_that_fails_without_a_word_is_an_error_all_the_same(setup: Setup) -> None:
    setup.server.faults = once("COPY", ServerError("Mandatory url is not present in manifest file.", "XX000"))
    with pytest.raises(CopyError, match=r"Mandatory url.*deleted.*Nothing of the load is in the table.*no details"):
        setup.loader.load(URL, "clicks")


@pytest.mark.parametrize("rows", [9, 11])
def test_a_count_that_differs_from_the_manifest_is_refused(setup: Setup, rows: int) -> None:
    setup.server.copies = {URL: rows}
    with pytest.raises(RowCountError, match=f"COPY loaded {rows} rows of {URL}, which lists 10"):
        setup.loader.load(URL, "clicks")
    assert (setup.server.rows, setup.server.ledger) == (0, {})


def test_maxerror_leaves_room_for_rows_that_copy_rejects() -> None:
    setup = Setup(maxerror=3)
    setup.server.copies = {URL: 8}
    result = setup.loader.load(URL, "clicks")
    assert (result.records, result.rejected) == (8, 2)
    setup.server.copies = {OTHER: 7}
    with pytest.raises(RowCountError):
        setup.loader.load(OTHER, "clicks")


def test_several_manifests_are_one_transaction(setup: Setup) -> None:
    result = setup.loader.load_all([OTHER, URL, OTHER], "clicks")
    assert (result.loaded, result.records, setup.server.rows) == ((URL, OTHER), 20, 20)
    assert setup.server.verbs.count("COMMIT") == 2
    setup.texts["s3://bucket/3"] = manifest_text(FILE + "3")
    result = setup.loader.load_all([URL, "s3://bucket/3"], "clicks")
    assert (result.loaded, result.skipped, setup.server.rows) == (("s3://bucket/3",), (URL,), 30)


def test_one_manifest_that_fails_leaves_none(setup: Setup) -> None:
    setup.server.copies = {OTHER: 3}
    with pytest.raises(RowCountError):
        setup.loader.load_all([URL, OTHER], "clicks")
    assert (setup.server.rows, setup.server.ledger) == (0, {})


@pytest.mark.parametrize("listed", [None, b'{"entries":[]}'])
def test_nothing_to_load_touches_nothing(setup: Setup, listed: bytes | None) -> None:
    manifests = []
    if listed is not None:
        setup.texts[URL] = listed
        manifests = [URL]
    result = setup.loader.load_all(manifests, "clicks", "truncate")
    assert (result.outcome, result.table, setup.server.statements) == ("nothing-to-load", "public.clicks", [])


def test_truncate_loads_all_if_one_is_new(setup: Setup) -> None:
    setup.loader.load(URL, "clicks", "truncate")
    result = setup.loader.load_all([URL, OTHER], "clicks", "truncate")
    assert (result.loaded, result.skipped, setup.server.rows) == ((URL, OTHER), (), 20)
    assert setup.loader.load_all([URL, OTHER], "clicks", "truncate").outcome == "already-loaded"
    assert not [verb for verb in setup.server.verbs if verb.startswith("TRUNCATE")]


def test_a_manifest_that_was_written_anew_is_refused_with_the_way_out(setup: Setup) -> None:
    setup.loader.load(URL, "clicks")
    setup.texts[URL] = manifest_text("s3://bucket/data/web/clicks/b.json.gz", records=12)
    with pytest.raises(ManifestReplacedError, match=r"with 10 records.*12 records.*upsert.*DELETE FROM .*'skip'"):
        setup.loader.load(URL, "clicks")
    assert setup.server.rows == 10


def test_a_manifest_that_was_written_anew_can_be_loaded_again_or_left() -> None:
    setup = Setup(on_replaced="reload")
    setup.loader.load(URL, "clicks", "upsert", "id")
    setup.texts[URL] = manifest_text("s3://bucket/data/web/clicks/b.json.gz", records=10)
    with pytest.raises(ConfigurationError, match=r"on_replaced='reload' with mode='append'"):
        setup.loader.load(URL, "clicks")
    result = setup.loader.load(URL, "clicks", "upsert", "id")
    assert result.loaded == (URL,)
    assert setup.loader.load(URL, "clicks", "upsert", "id").outcome == "already-loaded"
    skipping = Setup(on_replaced="skip")
    skipping.loader.load(URL, "clicks")
    skipping.texts[URL] = setup.texts[URL]
    assert skipping.loader.load(URL, "clicks").outcome == "already-loaded"


@pytest.mark.parametrize("state", ["23505", "42P07"])
def test_a_lost_race_for_the_ledger_is_none(setup: Setup, state: str) -> None:
    def fault(statement: str) -> None:
        if statement.startswith("CREATE TABLE IF NOT EXISTS"):
            setup.server.ledger = {}
            raise ServerError("duplicate key value violates unique constraint", state)

    setup.server.faults = fault
    assert setup.loader.load(URL, "clicks").attempts == 1


def test_a_ledger_that_may_not_be_made_is_an_error(setup: Setup) -> None:
    setup.server.faults = once("CREATE TABLE", ServerError("permission denied for schema public", "42501"))
    with pytest.raises(LoadError, match=r"creating the ledger public.beam_s3box_loads: permission denied.*grant"):
        setup.loader.load(URL, "clicks")


def test_a_missing_table_is_named(setup: Setup) -> None:
    setup.server.faults = once("SELECT *", ServerError('relation "public.clicks" does not exist', "42P01"))
    with pytest.raises(LoadError, match=r"table='public.clicks' does not exist: create it"):
        setup.loader.load(URL, "clicks")


def test_a_connection_with_autocommit_is_refused_and_closed(setup: Setup) -> None:
    made = []

    def connect() -> object:
        made.append(setup.server.connect())
        made[0].autocommit = True
        return made[0]

    setup.change(connection=connect)
    with pytest.raises(ConfigurationError, match="autocommit"):
        setup.loader.load(URL, "clicks")
    assert made[0].is_closed
    assert setup.server.verbs == ["CONNECT"]


def test_an_interrupted_load_closes_its_connection(setup: Setup) -> None:
    made = []
    setup.server.faults = once("COPY", KeyboardInterrupt())  # type: ignore[arg-type]
    setup.change(connection=lambda: made.append(setup.server.connect()) or made[0])  # type: ignore[func-returns-value]
    with pytest.raises(KeyboardInterrupt):
        setup.loader.load(URL, "clicks")
    assert made[0].is_closed
    assert "COMMIT" not in setup.server.verbs[5:]
