"""Loads into the stand-in with the real driver and the real boto3: modes, outcomes, errors."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
from collections.abc import Callable

import pytest

from beam_s3box.errors import (
    CopyError,
    KeyValuesError,
    LoadError,
    ManifestReplacedError,
    ObjectNotFoundError,
    RowCountError,
)
from beam_s3box.redshift.load.loader import RedshiftLoader
from beam_s3box.redshift.load.table_loads import LoadFailure, TableCreation, TableLoads
from beam_s3box.redshift.sql.target import Mode, Target
from tests.redshift.load.conftest import Warehouse, clicks

Make = Callable[..., RedshiftLoader]


@pytest.fixture(params=["redshift_connector", "data-api"])
def make(request: pytest.FixtureRequest, warehouse: Warehouse) -> Make:
    """Return loaders over the driver, and over the Data API."""
    if request.param == "data-api":
        return lambda **settings: warehouse.loader(warehouse.data_api(), **settings)
    return lambda **settings: warehouse.loader(**settings)


def test_a_manifest_is_loaded_once(warehouse: Warehouse, make: Make) -> None:
    manifest = warehouse.manifest(clicks(1, 2), clicks(3))
    result = make().load(manifest, "clicks")
    assert (result.outcome, result.table, result.loaded, result.records) == (
        "loaded",
        "public.clicks",
        (manifest.url,),
        3,
    )
    result = make().load(manifest.url, "public.Clicks")
    assert (result.outcome, result.skipped) == ("already-loaded", (manifest.url,))
    assert warehouse.rows("SELECT id, name FROM clicks ORDER BY id") == [(1, "x1"), (2, "x2"), (3, "x3")]
    assert warehouse.rows("SELECT table_schema, table_name, manifest_url, records, mode FROM beam_s3box_loads") == [
        ("public", "clicks", manifest.url, 3, "append")
    ]
    ((when,),) = warehouse.rows("SELECT loaded_at FROM beam_s3box_loads")
    assert isinstance(when, datetime.datetime)


def test_the_same_manifest_goes_into_two_tables(warehouse: Warehouse, make: Make) -> None:
    warehouse.execute("CREATE SCHEMA web", "CREATE TABLE web.clicks (id INTEGER)", "CREATE TABLE others (id INTEGER)")
    manifest = warehouse.manifest(clicks(1))
    for table in ("clicks", "web.clicks", "others"):
        assert make().load(manifest, table).outcome == "loaded"
        assert warehouse.ids(table) == [1]
    assert warehouse.rows("SELECT COUNT(*) FROM web.beam_s3box_loads") == [(1,)]


def test_a_ledger_may_be_the_tables_own(warehouse: Warehouse, make: Make) -> None:
    manifest = warehouse.manifest(clicks(1))
    loader = make(ledger="loads_of_{table}")
    assert [loader.load(manifest, "clicks").outcome for _ in range(2)] == ["loaded", "already-loaded"]
    assert warehouse.rows("SELECT COUNT(*) FROM loads_of_clicks") == [(1,)]


def test_several_manifests_load_together_or_not_at_all(warehouse: Warehouse, make: Make) -> None:
    good, also, bad = (warehouse.manifest(clicks(number)) for number in (1, 2, 3))
    warehouse.rewrite(bad, clicks(3, name="much too long for twenty "))
    loader = make()
    with pytest.raises(CopyError):
        loader.load_all([good, also, bad], "clicks")
    assert warehouse.ids() == []
    result = loader.load_all([good, also], "clicks")
    assert (result.records, set(result.loaded)) == (2, {good.url, also.url})
    assert loader.load_all([also, good], "clicks").outcome == "already-loaded"
    assert loader.load_all([], "clicks").outcome == "nothing-to-load"
    assert warehouse.ids() == [1, 2]


def test_truncate_puts_new_rows_in_the_place_of_all(warehouse: Warehouse, make: Make) -> None:
    first, second = warehouse.manifest(clicks(1, 2)), warehouse.manifest(clicks(3))
    loader = make()
    loader.load(first, "clicks", "truncate")
    loader.load(second, "clicks", "truncate")
    assert warehouse.ids() == [3]
    assert loader.load(first, "clicks", "truncate").outcome == "already-loaded"
    third = warehouse.manifest(clicks(4))
    assert len(loader.load_all([second, third], "clicks", "truncate").loaded) == 2
    assert warehouse.ids() == [3, 4]


def test_upsert_replaces_rows_with_the_same_keys(warehouse: Warehouse, make: Make) -> None:
    warehouse.execute("INSERT INTO clicks VALUES (1, 'old'), (2, 'old'), (NULL, 'none')")
    loader = make()
    loader.load(warehouse.manifest(clicks(2, 3, name="new")), "clicks", "upsert", "ID")
    assert warehouse.rows("SELECT id, name FROM clicks ORDER BY id") == [
        (1, "old"),
        (2, "new2"),
        (3, "new3"),
        (None, "none"),
    ]
    loader.load(warehouse.manifest(clicks(2, name="new")), "clicks", "upsert", ["id", "name"])
    assert warehouse.ids()[:3] == [1, 2, 3]


@pytest.mark.parametrize("records", [[{"id": None, "name": "x"}], [{"id": 1}, {"id": 1}]], ids=["null", "twice"])
def test_keys_that_can_not_name_rows_are_refused(
    warehouse: Warehouse, make: Make, records: list[dict[str, object]]
) -> None:
    warehouse.execute("INSERT INTO clicks VALUES (1, 'old')")
    with pytest.raises(KeyValuesError, match=r"keys=\['id'\] don't identify the rows for public.clicks"):
        make().load(warehouse.manifest(records), "clicks", "upsert", "id")
    assert warehouse.rows("SELECT name FROM clicks") == [("old",)]


def test_null_keys_are_not_helped_by_an_order(warehouse: Warehouse, make: Make) -> None:
    with pytest.raises(KeyValuesError, match=r"Give keys that are never null") as caught:
        make().load(warehouse.manifest([{"id": None, "name": "x"}]), "clicks", "upsert", "id", order_by="name")
    assert "order_by" not in str(caught.value)


def test_the_newest_row_wins_among_the_records_and_beside_the_table(warehouse: Warehouse, make: Make) -> None:
    warehouse.execute(
        "CREATE TABLE state (id INTEGER, seen TIMESTAMP, name VARCHAR(20))",
        "INSERT INTO state VALUES (1, '2026-01-05', 'newer'), (2, '2026-01-01', 'older'), (3, NULL, 'never')",
    )
    records: list[dict[str, object]] = [
        {"id": number, "seen": f"2026-01-{day:02d}T00:00:00Z", "name": f"day{day}"}
        for number in (1, 2, 3, 4)
        for day in (2, 4, 3)
    ]
    records.append({"id": 4, "seen": None, "name": "unknown"})
    make().load(warehouse.manifest(records), "state", "upsert", "id", order_by="seen")
    assert warehouse.rows("SELECT id, name FROM state ORDER BY id") == [
        (1, "newer"),
        (2, "day4"),
        (3, "day4"),
        (4, "day4"),
    ]


@pytest.mark.parametrize("cut", ["together", "dated first", "dated last"])
def test_a_record_without_the_order_is_the_oldest_however_manifests_are_cut(
    warehouse: Warehouse, make: Make, cut: str
) -> None:
    warehouse.execute("CREATE TABLE state (id INTEGER, seen DATE, name VARCHAR(20))")
    dated: dict[str, object] = {"id": 1, "seen": "2026-05-05", "name": "dated"}
    undated: dict[str, object] = {"id": 1, "name": "no date"}
    loads = {"together": [[undated, dated]], "dated first": [[dated], [undated]], "dated last": [[undated], [dated]]}
    for records in loads[cut]:
        make().load(warehouse.manifest(records), "state", "upsert", "id", order_by="seen")
    assert warehouse.rows("SELECT name FROM state") == [("dated",)]


def test_of_two_records_without_the_order_the_later_load_stays(warehouse: Warehouse, make: Make) -> None:
    warehouse.execute("CREATE TABLE state (id INTEGER, seen DATE, name VARCHAR(20))")
    for name in ("one", "two"):
        make().load(warehouse.manifest([{"id": 1, "name": name}]), "state", "upsert", "id", order_by="seen")
    assert warehouse.rows("SELECT name FROM state") == [("two",)]


def test_columns_that_are_not_loaded_get_their_defaults(warehouse: Warehouse, make: Make) -> None:
    warehouse.execute("CREATE TABLE wide (id INTEGER, name VARCHAR(20), kind VARCHAR(10) DEFAULT 'web')")
    make().load(warehouse.manifest([{"id": 1}]), "wide", columns=["id", "name"])
    make().load(warehouse.manifest([{"id": 2}]), "wide")
    assert warehouse.rows("SELECT id, name, kind FROM wide ORDER BY id") == [(1, None, "web"), (2, None, None)]


@pytest.mark.parametrize("mode", ["append", "truncate", "upsert"])
@pytest.mark.parametrize("columns", [None, ["id"]], ids=["all", "named"])
@pytest.mark.parametrize("identity", ["IDENTITY(7, 1)", "GENERATED BY DEFAULT AS IDENTITY(7, 1)"])
def test_a_table_with_an_identity_column_is_loaded(
    warehouse: Warehouse, make: Make, identity: str, columns: list[str] | None, mode: Mode
) -> None:
    warehouse.execute(f"CREATE TABLE numbered (pk BIGINT {identity}, id INTEGER NOT NULL)")
    keys = "id" if mode == "upsert" else None
    for _ in range(2):
        make().load(warehouse.manifest([{"id": 1}]), "numbered", mode, keys, columns=columns)
    numbers = warehouse.rows("SELECT pk, id FROM numbered ORDER BY pk")
    assert numbers == ([(7, 1), (8, 1)] if mode == "append" else [(8, 1)])


def test_numbers_that_records_have_are_kept_and_missing_ones_are_made(warehouse: Warehouse, make: Make) -> None:
    warehouse.execute(
        "CREATE TABLE numbered (pk BIGINT GENERATED BY DEFAULT AS IDENTITY(7, 1), id INTEGER, seen DATE)",
        "CREATE TABLE always (pk BIGINT IDENTITY(7, 1), id INTEGER)",
    )
    records: list[dict[str, object]] = [{"pk": 100, "id": 1}, {"id": 2}, {"id": 1, "seen": "2026-01-01", "pk": 101}]
    make().load(warehouse.manifest(records), "numbered", "upsert", "id", order_by="seen")
    assert warehouse.rows("SELECT id, pk FROM numbered ORDER BY id") == [(1, 101), (2, 7)]
    make().load(warehouse.manifest(records), "always")
    assert warehouse.rows("SELECT id, pk >= 7, pk < 10 FROM always ORDER BY id") == [
        (1, True, True),
        (1, True, True),
        (2, True, True),
    ]
    with pytest.raises(LoadError, match=r"identity column.*give columns .* without"):
        make().load(warehouse.manifest([{"pk": 1, "id": 1}]), "always", columns=["pk", "id"])


def test_a_column_that_can_not_be_null_gets_its_default_where_a_record_has_none(
    warehouse: Warehouse, make: Make
) -> None:
    warehouse.execute(
        "CREATE TABLE wide (id INTEGER NOT NULL, kind VARCHAR(10) NOT NULL DEFAULT 'it''s\\\\', "
        "made TIMESTAMP NOT NULL DEFAULT GETDATE(), flag BOOLEAN NOT NULL DEFAULT false, pk INTEGER IDENTITY(1, 1))"
    )
    records: list[dict[str, object]] = [
        {"id": 1},
        {"id": 2, "kind": "x", "flag": True, "made": "2026-01-01T00:00:00"},
        {"id": 3, "kind": None},
    ]
    make().load(warehouse.manifest(records), "wide")
    make().load(warehouse.manifest([{"id": 4}]), "wide", columns=["id"])
    rows = warehouse.rows("SELECT id, kind, flag, made IS NOT NULL FROM wide ORDER BY id")
    default = "it's\\"
    assert rows == [
        (1, default, False, True),
        (2, "x", True, True),
        (3, default, False, True),
        (4, default, False, True),
    ]


def test_a_column_that_can_not_be_null_and_has_no_default_is_named(warehouse: Warehouse, make: Make) -> None:
    warehouse.execute("CREATE TABLE strict (id INTEGER, kind VARCHAR(9) NOT NULL, made INTEGER NOT NULL DEFAULT 1)")
    with pytest.raises(LoadError, match=r"into column kind\b.*--redshift_columns"):
        make().load(warehouse.manifest([{"id": 1}]), "strict")
    with pytest.raises(LoadError, match=r"into column made\b.*--redshift_columns"):
        make().load(warehouse.manifest([{"id": 1, "kind": "x"}]), "strict", columns=["id", "kind", "made"])
    assert warehouse.ids("strict") == []


OURS = ("beam_s3box_row", "beam_s3box_count", "beam_s3box_stage")


def test_names_of_ours_are_names_of_columns_keys_and_tables_too(warehouse: Warehouse, make: Make) -> None:
    types = ", ".join(f"{name} INTEGER" for name in OURS)
    warehouse.execute(f"CREATE TABLE beam_s3box_stage ({types}, newest INTEGER, grouped INTEGER)")
    for load in (1, 2, 1):
        records = [{**dict.fromkeys(OURS, 5), "newest": load, "grouped": number} for number in (1, 2)]
        make().load(
            warehouse.manifest(records),
            "beam_s3box_stage",
            "upsert",
            OURS[:2],
            order_by="newest" if load < 2 else "grouped",
        )
    assert warehouse.rows("SELECT * FROM beam_s3box_stage") == [(5, 5, 5, 2, 2)]
    warehouse.execute("INSERT INTO beam_s3box_stage VALUES (9, 9, 9, 9, 9)")
    make().load(warehouse.manifest(clicks(1)), "clicks")
    assert (warehouse.ids(), len(warehouse.rows("SELECT * FROM beam_s3box_stage"))) == ([1], 2)


def test_rows_that_copy_left_out_are_counted_by_asking_redshift(warehouse: Warehouse, make: Make) -> None:
    """The Data API reports 0 rows for every COPY."""
    manifest = warehouse.manifest([*clicks(1, 2), {"id": "x"}, *clicks(4)])
    result = make(maxerror=3).load(manifest, "clicks")
    assert (result.records, result.rejected, warehouse.ids()) == (3, 1, [1, 2, 4])


def test_a_copy_that_fails_tells_file_line_column_and_reason(warehouse: Warehouse, make: Make) -> None:
    manifest = warehouse.manifest([*clicks(1, 2), {"id": 3, "name": "longer than twenty bytes"}])
    with pytest.raises(CopyError) as caught:
        make().load(manifest, "clicks")
    (problem,) = caught.value.problems
    assert problem.file.startswith("s3://box/")
    assert (problem.line, problem.column) == (3, "name")
    assert f"{problem.file}, line 3, column name: {problem.reason}" in str(caught.value)
    assert warehouse.ids() == []
    assert make(truncatecolumns=True).load(manifest, "clicks").outcome == "loaded"


def test_a_shard_that_is_gone_is_an_error_with_a_way_out(warehouse: Warehouse, make: Make) -> None:
    manifest = warehouse.manifest(clicks(1))
    for info in list(warehouse.store.list("data/")):
        warehouse.store.delete(info.key)
    with pytest.raises(CopyError, match="was it deleted"):
        make().load(manifest, "clicks")
    with pytest.raises(ObjectNotFoundError):
        make().load(manifest.url + "x", "clicks")


def test_fewer_rows_than_the_manifest_lists_are_refused(warehouse: Warehouse, make: Make) -> None:
    manifest = warehouse.manifest(clicks(1, 2))
    listed = warehouse.store.get(manifest.key).replace(b'"record_count": 2', b'"record_count": 3')
    digest = hashlib.sha256(listed).hexdigest()
    warehouse.store.put(manifest.key, listed, sha256=digest, content_type="application/json", replace=True)
    with pytest.raises(RowCountError, match="which lists 3"):
        make().load(manifest, "clicks")
    assert warehouse.ids() == []


def test_a_manifest_that_was_written_anew_is_refused_and_then_loaded(warehouse: Warehouse, make: Make) -> None:
    manifest = warehouse.manifest(clicks(1, 2))
    make().load(manifest, "clicks", "upsert", "id")
    warehouse.rewrite(manifest, clicks(2, 3, name="y"))
    with pytest.raises(ManifestReplacedError, match="on_replaced='reload' loads it again"):
        make().load(manifest, "clicks", "upsert", "id")
    assert make(on_replaced="skip").load(manifest, "clicks").outcome == "already-loaded"
    assert make(on_replaced="reload").load(manifest, "clicks", "upsert", "id").outcome == "loaded"
    assert make().load(manifest, "clicks").outcome == "already-loaded"
    assert warehouse.rows("SELECT name FROM clicks ORDER BY id") == [("x1",), ("y2",), ("y3",)]
    assert warehouse.rows("SELECT COUNT(*) FROM beam_s3box_loads") == [(1,)]


def test_a_missing_table_is_named(warehouse: Warehouse, make: Make) -> None:
    with pytest.raises(LoadError, match=r"table='public.nowhere' does not exist: create it"):
        make().load(warehouse.manifest(clicks(1)), "nowhere")
    with pytest.raises(LoadError, match=r"table='public.nowhere' does not exist: create it"):
        make().load(warehouse.manifest(clicks(1)), "nowhere", columns=["id"])


def test_columns_are_asked_for_and_statements_run(warehouse: Warehouse, make: Make) -> None:
    loader = make()
    assert loader.columns("clicks") == ["id", "name"]
    loader.execute("CREATE TABLE made (id INTEGER)", "ALTER TABLE made ADD COLUMN name VARCHAR(9)")
    assert loader.columns("made") == ["id", "name"]
    with pytest.raises(LoadError, match="running statements"):
        loader.execute("CREATE TABLE more (id INTEGER)", "CREATE TABLE made (id INTEGER)")
    with pytest.raises(LoadError, match=r"'public.more' does not exist"):
        loader.columns("more")


def test_the_statements_of_a_load_can_be_shown_and_load_nothing(warehouse: Warehouse, make: Make) -> None:
    manifest = warehouse.manifest(clicks(1))
    loader = make()
    statements = loader.sql([manifest], "clicks")
    assert (statements[0], statements[-1]) == ("BEGIN", "COMMIT")
    assert [statement for statement in statements if statement.startswith('COPY "beam_s3box_stage" ("id", "name")\n')]
    assert loader.sql([], "clicks") == []
    assert warehouse.ids() == []
    assert loader.load(manifest, "clicks").outcome == "loaded"


def test_a_table_without_any_key_of_the_records_is_refused(warehouse: Warehouse, make: Make) -> None:
    warehouse.execute("CREATE TABLE mistyped (idd INTEGER, other INTEGER)")
    manifest = warehouse.manifest(clicks(1, 2), clicks(3))
    with pytest.raises(LoadError, match=r"'idd', 'other', and the keys 'id', 'name'\. Did you mean 'id' by .* 'idd'"):
        make().load(manifest, "mistyped")
    with pytest.raises(LoadError, match="no column that is a key of the records"):
        make().sql([manifest], "mistyped")
    assert warehouse.rows("SELECT COUNT(*) FROM mistyped") == [(0,)]


def test_keys_in_another_case_need_their_mapping(warehouse: Warehouse, make: Make) -> None:
    manifest = warehouse.manifest([{"ID": 1}])
    with pytest.raises(LoadError, match="For 'ID' in any case load with mapping='auto ignorecase'"):
        make().load(manifest, "clicks")
    assert make(mapping="auto ignorecase").load(manifest, "clicks").records == 1
    assert warehouse.ids() == [1]


def test_one_record_that_fills_a_column_is_enough(warehouse: Warehouse, make: Make) -> None:
    manifest = warehouse.manifest([{"other": 1}], [{"other": 1}, {"id": None}])
    assert make().load(manifest, "clicks").records == 3
    assert make().load(warehouse.manifest([{}]), "clicks").records == 1


def test_a_loader_that_may_not_read_shards_leaves_the_keys_to_copy(warehouse: Warehouse, make: Make) -> None:
    manifest = warehouse.manifest([{"other": 1}])
    text = warehouse.store.get(manifest.key)
    assert make(fetch={manifest.url: text}.__getitem__).load(manifest, "clicks").records == 1


@pytest.mark.parametrize("key", ["xmin", "CTID", "tableoid"])
def test_a_key_that_is_a_system_column_is_an_error_with_a_way_out(warehouse: Warehouse, make: Make, key: str) -> None:
    loads = TableLoads(settings=make().settings, creation=TableCreation())
    manifest = warehouse.manifest([{"id": 1, key: 2}])
    (failure,) = loads.outcomes([manifest], Target("public", "systems"))
    assert isinstance(failure, LoadFailure)
    assert f'column name "{key.lower()}" conflicts with a system column' in failure.message
    assert "exclude it (--redshift_exclude)" in failure.message
    assert dataclasses.replace(loads, creation=TableCreation(exclude=[key])).load([manifest.url], Target("public", "s"))
