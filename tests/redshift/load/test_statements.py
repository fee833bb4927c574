"""The statements of a load, to the letter."""

from __future__ import annotations

import pytest

from beam_s3box.errors import LoadError
from beam_s3box.redshift.load.data_api_load import BatchLoad
from beam_s3box.redshift.load.ledger import Entry, Ledger
from beam_s3box.redshift.load.load_errors import queries
from beam_s3box.redshift.load.loaded_columns import LoadedColumns, columns_of_table, columns_with_defaults
from beam_s3box.redshift.load.plan import Plan
from beam_s3box.redshift.load.statements import apply, bad_keys_guard, count_bad_keys, own_name
from beam_s3box.redshift.manifests import ListedManifest
from beam_s3box.redshift.sql.copy import CopySettings
from beam_s3box.redshift.sql.target import Merge, Target
from tests.redshift.load.fakes import ROLE, URL

TARGET = Target("web", "clicks")
LEDGER = Ledger(Target("web", "beam_s3box_loads"), TARGET)
MANIFEST = ListedManifest(URL, "ab" * 32, 10, ("s3://bucket/a",))
UPSERT = Merge("upsert", ("id", "day"))
COLUMNS = LoadedColumns(("id", "seen"))
NEWEST = Merge("upsert", ("id",), "seen")


def test_a_load_over_the_data_api_reads_like_this() -> None:
    plan = Plan(TARGET, LEDGER, (MANIFEST,), Merge(), CopySettings(ROLE))
    texts = [step.sql for step in BatchLoad.steps(plan, plan.decide([]), LoadedColumns(("id", "name")))]
    assert texts == [
        'LOCK TABLE "web"."beam_s3box_loads"',
        "SELECT 1 / (CASE WHEN COUNT(*) = 0 THEN 1 ELSE 0 END)\n"
        'FROM "web"."beam_s3box_loads"\n'
        "WHERE table_schema = 'web' AND table_name = 'clicks'\n"
        f"  AND manifest_url IN ('{URL}')",
        'CREATE TEMP TABLE "beam_s3box_stage" AS\nSELECT "id", "name" FROM "web"."clicks" WHERE 1 = 0',
        'COPY "beam_s3box_stage" ("id", "name")\n'
        f"FROM '{URL}'\n"
        f"IAM_ROLE '{ROLE}'\n"
        "MANIFEST\n"
        "FORMAT AS JSON 'auto' GZIP\n"
        "TIMEFORMAT 'auto'\n"
        "DATEFORMAT 'auto'\n"
        "COMPUPDATE OFF\n"
        "STATUPDATE OFF",
        "SELECT pg_last_copy_count() / (CASE WHEN pg_last_copy_count() BETWEEN 10 AND 10 THEN 1 ELSE 0 END)",
        'INSERT INTO "web"."clicks" ("id", "name")\nSELECT "id", "name" FROM "beam_s3box_stage"',
        'INSERT INTO "web"."beam_s3box_loads"\n'
        "  (table_schema, table_name, manifest_url, manifest_sha256, records, mode)\n"
        "VALUES\n"
        f"  ('web', 'clicks', '{URL}', '{'ab' * 32}', 10, 'append')",
        'DROP TABLE "beam_s3box_stage"',
    ]


def test_the_ledger_is_made_and_asked_like_this() -> None:
    assert LEDGER.create() == (
        'CREATE TABLE IF NOT EXISTS "web"."beam_s3box_loads" (\n'
        "  table_schema VARCHAR(127) NOT NULL,\n"
        "  table_name VARCHAR(127) NOT NULL,\n"
        "  manifest_url VARCHAR(2048) NOT NULL,\n"
        "  manifest_sha256 CHAR(64) NOT NULL,\n"
        "  records BIGINT NOT NULL,\n"
        "  mode VARCHAR(16) NOT NULL,\n"
        "  loaded_at TIMESTAMP DEFAULT GETDATE()\n"
        ")"
    )
    assert LEDGER.look_up(["s3://b/x", "s3://b/y"]) == (
        "SELECT manifest_url, manifest_sha256, records, loaded_at\n"
        'FROM "web"."beam_s3box_loads"\n'
        "WHERE table_schema = 'web' AND table_name = 'clicks'\n"
        "  AND manifest_url IN ('s3://b/x', 's3://b/y')"
    )


def test_the_guard_knows_what_the_ledger_said() -> None:
    entry = Entry("s3://b/x", "cd" * 32, 3, "then")
    assert LEDGER.guard(["s3://b/x", "s3://b/y"], [entry]).split("\n")[0] == (
        "SELECT 1 / (CASE WHEN COUNT(*) = 1 AND SUM(CASE WHEN (manifest_url = 's3://b/x' AND manifest_sha256 = "
        f"'{'cd' * 32}') THEN 1 ELSE 0 END) = 1 THEN 1 ELSE 0 END)"
    )


@pytest.mark.parametrize(
    ("merge", "expected"),
    [
        (Merge("truncate"), ['DELETE FROM "web"."clicks"']),
        (
            UPSERT,
            [
                'DELETE FROM "web"."clicks" USING "beam_s3box_stage"\n'
                'WHERE "clicks"."id" = "beam_s3box_stage"."id" AND "clicks"."day" = "beam_s3box_stage"."day"'
            ],
        ),
        (
            NEWEST,
            [
                'DELETE FROM "beam_s3box_stage" USING "web"."clicks"\n'
                'WHERE "clicks"."id" = "beam_s3box_stage"."id" AND ("clicks"."seen" > "beam_s3box_stage"."seen" '
                'OR ("clicks"."seen" IS NOT NULL AND "beam_s3box_stage"."seen" IS NULL))',
                'DELETE FROM "web"."clicks" USING "beam_s3box_stage"\nWHERE "clicks"."id" = "beam_s3box_stage"."id"',
            ],
        ),
    ],
    ids=["truncate", "upsert", "newest"],
)
def test_rows_give_way_like_this(merge: Merge, expected: list[str]) -> None:
    *before, insert = apply(TARGET, merge, COLUMNS)
    assert before == expected
    assert insert.startswith('INSERT INTO "web"."clicks" ("id", "seen")\nSELECT "id", "seen" FROM ')


def test_the_newest_row_is_inserted_like_this() -> None:
    assert [*apply(TARGET, NEWEST, COLUMNS)][-1] == (
        'INSERT INTO "web"."clicks" ("id", "seen")\n'
        'SELECT "id", "seen" FROM (\n'
        '  SELECT "id", "seen", ROW_NUMBER() OVER (\n'
        '    PARTITION BY "id" ORDER BY "seen" DESC NULLS LAST\n'
        '  ) AS "beam_s3box_row" FROM "beam_s3box_stage"\n'
        ') AS newest WHERE "beam_s3box_row" = 1'
    )


def test_a_column_that_can_not_be_null_gets_its_default_and_a_numbered_one_its_number() -> None:
    columns = LoadedColumns(("id", "kind", "seen", "pk"), {"kind": "'web'::character varying"}, ("pk",))
    stage = '"beam_s3box_stage"'
    values = """"id", COALESCE("kind", 'web'::character varying), "seen\""""
    assert [*apply(TARGET, Merge(), columns)] == [
        f'INSERT INTO "web"."clicks" ("id", "kind", "seen", "pk")\nSELECT {values}, "pk" FROM {stage} WHERE "pk" IS NOT NULL',
        f'INSERT INTO "web"."clicks" ("id", "kind", "seen")\nSELECT {values} FROM {stage} WHERE "pk" IS NULL',
    ]
    *_, numbered = apply(TARGET, NEWEST, columns)
    assert numbered.startswith(f'INSERT INTO "web"."clicks" ("id", "kind", "seen")\nSELECT {values} FROM (\n')
    assert numbered.endswith(
        f'  ) AS "beam_s3box_row" FROM {stage}\n) AS newest WHERE "beam_s3box_row" = 1 AND "pk" IS NULL'
    )


def test_the_catalog_is_asked_like_this() -> None:
    assert columns_with_defaults(Target("w'b", "clicks")) == (
        "SELECT a.attname, d.adsrc\n"
        "FROM pg_catalog.pg_attrdef AS d\n"
        "JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum\n"
        "JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid\n"
        "JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace\n"
        "WHERE n.nspname = 'w''b' AND c.relname = 'clicks'\n"
        "  AND NOT a.attisdropped AND (a.attnotnull OR POSITION('identity' IN d.adsrc) > 0)"
    )


def test_the_catalog_is_read_as_redshift_writes_it() -> None:
    rows = [
        ("a", "\"identity\"(144332, 1, ('1,1'::character varying)::text)"),
        ("b", "default_identity(963861, 1, '1,2'::text)"),
        ("c", "\"default_identity\"(963861, 1, '1,6'::text)"),
        ("d", "('now'::text)::timestamp without time zone"),
    ]
    found = columns_of_table(TARGET, ["a", "b", "c", "d", "e"], rows)
    assert found == LoadedColumns(("b", "c", "d", "e"), {"d": rows[3][1]}, ("b", "c"))
    with pytest.raises(LoadError, match="only identity columns"):
        columns_of_table(TARGET, ["a"], rows)


@pytest.mark.parametrize(("taken", "expected"), [([], "n"), (["N"], "n_1"), (["n", "n_1", "x"], "n_2"), (["n_1"], "n")])
def test_names_of_ours_give_way_to_others(taken: list[str], expected: str) -> None:
    assert own_name("n", taken) == expected


def test_keys_are_checked_like_this() -> None:
    grouped = 'FROM (SELECT "id", "day", COUNT(*) AS "beam_s3box_count" FROM "beam_s3box_stage" GROUP BY "id", "day") AS grouped'
    assert count_bad_keys(TARGET, UPSERT) == (
        'SELECT COALESCE(SUM(CASE WHEN "id" IS NULL OR "day" IS NULL THEN 1 ELSE 0 END), 0), '
        f'COALESCE(SUM(CASE WHEN "beam_s3box_count" > 1 THEN 1 ELSE 0 END), 0)\n{grouped}'
    )
    assert bad_keys_guard(TARGET, UPSERT) == (
        f"SELECT 1 / (CASE WHEN COUNT(*) = 0 THEN 1 ELSE 0 END)\n{grouped}\n"
        'WHERE "id" IS NULL OR "day" IS NULL OR "beam_s3box_count" > 1'
    )
    assert bad_keys_guard(TARGET, NEWEST).endswith('\nWHERE "id" IS NULL')


def test_load_errors_are_asked_for_like_this() -> None:
    assert list(queries(77)) == [
        "SELECT file_name, line_number, column_name, error_message, column_length\nFROM sys_load_error_detail\n"
        "WHERE session_id = 77 ORDER BY start_time DESC LIMIT 100",
        "SELECT filename, line_number, colname, err_reason, col_length\nFROM stl_load_errors\n"
        "WHERE session = 77 ORDER BY starttime DESC LIMIT 100",
    ]
    assert all("= pg_backend_pid() " in query for query in queries(None))
