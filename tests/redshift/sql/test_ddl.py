"""CREATE TABLE and ALTER TABLE, character by character, and invalid arguments."""

from __future__ import annotations

from typing import Any

import pytest

from beam_s3box.errors import ConfigurationError
from beam_s3box.redshift import Column, alter_table_sql, create_table_sql, infer_columns, mapping_of
from beam_s3box.redshift.sql.columns import ANYTHING

EVERY_TYPE = {
    "id": "bigint",
    "order": "varchar(256)",
    'od"d': "double precision",
    "price": "numeric(38,4)",
    "at": "timestamp with time zone",
    "tags": "super",
}


def test_a_table() -> None:
    assert (
        create_table_sql("web.order", EVERY_TYPE)
        == """\
CREATE TABLE IF NOT EXISTS "web"."order" (
  "id" BIGINT,
  "order" VARCHAR(256),
  "od""d" DOUBLE PRECISION,
  "price" DECIMAL(38, 4),
  "at" TIMESTAMPTZ,
  "tags" SUPER
)"""
    )


def test_a_table_with_keys() -> None:
    statement = create_table_sql(
        "t", EVERY_TYPE, if_not_exists=False, dist_style="key", dist_key="order", sort_keys=["at", "Id"]
    )
    assert statement.startswith('CREATE TABLE "t" (\n')
    assert statement.endswith(')\nDISTSTYLE KEY\nDISTKEY ("order")\nSORTKEY ("at", "Id")')
    assert create_table_sql("t", {"a": "date"}, dist_key="a").endswith(')\nDISTKEY ("a")')
    assert create_table_sql("t", {"a": "date"}, dist_style="even").endswith(")\nDISTSTYLE EVEN")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dist_style": "random"}, "dist_style='random' must be one of auto"),
        ({"dist_style": "key"}, "dist_style='key' needs a column"),
        ({"dist_style": "even", "dist_key": "id"}, "don't work together"),
        ({"dist_key": "nope"}, "dist_key='nope' is not a column: columns has id, order"),
        ({"dist_key": "tags"}, "dist_key='tags' is a SUPER column"),
        ({"sort_keys": ["tags"]}, "sort_keys='tags' is a SUPER column"),
        ({"sort_keys": ["x"]}, "sort_keys='x' is not a column"),
        ({"sort_keys": "id"}, "must be a sequence"),
        ({"sort_keys": ["id", "ID"]}, "each once"),
    ],
)
def test_keys_that_cannot_work_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        create_table_sql("t", EVERY_TYPE, **options)


def test_a_compound_sort_key_has_at_most_400_columns() -> None:
    columns = {f"c{i}": "date" for i in range(401)}
    assert "SORTKEY" in create_table_sql("t", columns, sort_keys=list(columns)[:400])
    with pytest.raises(ConfigurationError, match="at most 400"):
        create_table_sql("t", columns, sort_keys=list(columns))


def test_a_table_has_1_to_1600_columns_each_once() -> None:
    columns = {f"c{i}": "date" for i in range(1600)}
    assert create_table_sql("t", columns).count(" DATE") == 1600
    with pytest.raises(ConfigurationError, match=r"1601 columns; .* mapping='noshred'"):
        create_table_sql("t", columns | {"x": "date"})
    with pytest.raises(ConfigurationError, match="has 0 columns"):
        create_table_sql("t", {})
    with pytest.raises(ConfigurationError, match="'Id' and 'iD', which are one column"):
        create_table_sql("t", {"Id": "date", "iD": "date"})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": "date); DROP TABLE t"}, "type of the column 'a'=.*is not a type"),
        ({"": "date"}, "0 bytes"),
        ({"x" * 128: "date"}, "128 bytes"),
        ([("a", "date")], "give Columns, or a mapping"),
    ],
)
def test_columns_that_cannot_be_are_refused(columns: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        create_table_sql("t", columns)


def test_new_columns_come_one_a_statement() -> None:
    there = {"id": "bigint", "name": "character varying(256)"}
    wanted = [Column("Name", "VARCHAR(20)"), Column("user", "BIGINT"), Column("at", "timestamptz")]
    assert alter_table_sql("web.page", there, wanted) == [
        'ALTER TABLE "web"."page" ADD COLUMN "user" BIGINT',
        'ALTER TABLE "web"."page" ADD COLUMN "at" TIMESTAMPTZ',
    ]
    assert alter_table_sql("t", wanted, wanted) == []


def test_a_table_never_grows_beyond_1600_columns() -> None:
    there = {f"c{i}": "date" for i in range(1599)}
    assert len(alter_table_sql("t", there, {"a": "date", "c1": "date"})) == 1
    with pytest.raises(ConfigurationError, match="would have 1601 columns"):
        alter_table_sql("t", there, {"a": "date", "b": "date"})


@pytest.mark.parametrize(
    ("there", "wanted", "messages"),
    [
        ("integer", Column("x", "BIGINT"), ["'x' is integer and needs BIGINT", "Load into a new table"]),
        ("bigint", Column("x", "VARCHAR(256)"), ["'x' is bigint and needs VARCHAR(256)", "another name"]),
        ("varchar(20)", Column("x", "VARCHAR(256)", min_type="VARCHAR(21)"),
         ["needs VARCHAR(21)", 'ALTER TABLE "t" ALTER COLUMN "x" TYPE VARCHAR(256) outside a transaction', "truncatecolumns"]),
        ("varchar(256)", Column("x", "SUPER"), ["needs SUPER", "leave the column out of wanted"]),
        ("geometry", Column("x", "BIGINT"), ["'x' is geometry", "new table"]),
    ],
)  # fmt: skip
def test_a_changed_type_is_an_error_that_says_what_to_do(there: str, wanted: Column, messages: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        alter_table_sql("t", {"X": there}, [wanted])
    for message in messages:
        assert message in str(caught.value)


def test_a_type_of_the_catalog_that_is_not_asked_about_is_no_error() -> None:
    assert alter_table_sql("t", {"shape": "geometry"}, {"id": "bigint"}) == ['ALTER TABLE "t" ADD COLUMN "id" BIGINT']


@pytest.mark.parametrize("there", ["smallint", "varchar(8)", "decimal(7, 2)", "super", "real"])
def test_what_was_seen_counts_and_not_the_room_to_grow(there: str) -> None:
    wanted = infer_columns([{"x": 1}, {"x": 300}])
    assert wanted[0].type == "BIGINT"
    assert alter_table_sql("t", {"x": there}, wanted) == []


@pytest.mark.parametrize("there", ["bigint", "geometry", "varchar(1)", "date"])
def test_nulls_fit_any_type_that_can_be_loaded(there: str) -> None:
    column = Column("x", "VARCHAR(256)", min_type=ANYTHING)
    if there == "geometry":
        with pytest.raises(ConfigurationError, match="geometry"):
            alter_table_sql("t", {"x": there}, [column])
    else:
        assert alter_table_sql("t", {"x": there}, [column]) == []


def test_how_copy_finds_the_columns() -> None:
    assert mapping_of([Column("id", "BIGINT"), Column("é", "DATE", key="é")]) == "auto"
    assert mapping_of([Column("id", "BIGINT"), Column("name", "DATE", key="Name")]) == "auto ignorecase"
    assert mapping_of([Column("Id", "BIGINT")]) == "auto ignorecase"
    with pytest.raises(ConfigurationError, match="key='other': COPY finds it only with a jsonpaths file"):
        mapping_of([Column("id", "BIGINT", key="other")])
