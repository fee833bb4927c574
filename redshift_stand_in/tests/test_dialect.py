"""SQL that Redshift and PostgreSQL treat differently."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("declared", "stored"),
    [
        ("int2", "smallint"), ("int", "integer"), ("int8", "bigint"), ("decimal", "numeric(18,0)"), ("numeric(38,37)", "numeric(38,37)"),
        ("float", "double precision"), ("float4", "real"), ("bool", "boolean"), ("char", "character(1)"),
        ("varchar", "character varying(256)"), ("character varying(5)", "character varying(5)"), ("varchar(max)", "character varying(65535)"),
        ("text", "character varying(256)"), ("bpchar", "character(256)"), ("timestamp", "timestamp without time zone"),
        ("timestamp with time zone", "timestamp with time zone"), ("timestamptz", "timestamp with time zone"), ("super", "super"),
        ("varbyte(9)", "bytea"),
    ],
)  # fmt: skip
def test_types(table: Any, declared: str, stored: str) -> None:
    """dg:c_Supported_data_types, dg:r_Character_types, dg:r_Numeric_types201."""
    table.create(f"a {declared}")
    query = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE relname = 't' AND attname = 'a'"
    assert table.run(query) == [(stored,)]


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("json", 'Column "t.a" has unsupported type "json".'),
        ("uuid", 'Column "t.a" has unsupported type "uuid".'),
        ("bigserial", 'Column "t.a" has unsupported type "bigserial".'),
        ("int[]", 'Column "t.a" has unsupported type "int[]".'),
        ("nonsense", 'type "nonsense" does not exist'),
        ("varchar(65536)", "length for type varchar cannot exceed 65535"),
        ("char(4097)", "length for type char cannot exceed 4096"),
        ("decimal(39)", "DECIMAL precision 39 must be between 1 and 38"),
        ("decimal(4,5)", "DECIMAL scale 5 must be between 0 and precision 4"),
        ("int check (a > 0)", "CHECK constraints are not supported"),
        ("super sortkey", "SORTKEY column can't be of type super"),
        ("int nonsense", 'syntax error at or near "nonsense"'),
    ],
)
def test_types_and_constraints_that_redshift_has_not(table: Any, declared: str, message: str) -> None:
    """dg:c_unsupported-postgresql-datatypes, dg:c_unsupported-postgresql-features."""
    assert table.refused(f"CREATE TABLE t (a {declared})")["M"] == message


def test_clauses_of_create_table(table: Any) -> None:
    """dg:r_CREATE_TABLE_NEW: keys, distribution and encodings are accepted; unique and primary keys are not enforced."""
    table.run(
        "CREATE TABLE IF NOT EXISTS public.t (a bigint NOT NULL ENCODE az64 DISTKEY, b varchar(9) DEFAULT 'x, (y' ENCODE zstd SORTKEY UNIQUE, "
        "c int REFERENCES t (a), PRIMARY KEY (a), UNIQUE (b, c)) BACKUP NO DISTSTYLE KEY COMPOUND SORTKEY (b, c)"
    )
    table.run("INSERT INTO t (a) VALUES (1), (1)")
    assert table.run("SELECT * FROM t") == [(1, "x, (y", None)] * 2
    assert table.refused("INSERT INTO t VALUES (NULL)")["C"] == "23502"
    assert table.refused("CREATE TABLE u (a int) TABLESPACE x")["C"] == "42601"


def test_a_primary_key_is_not_null(table: Any) -> None:
    """dg:r_CREATE_TABLE_NEW: PRIMARY KEY implies NOT NULL."""
    table.create("a int, b int, PRIMARY KEY (b)")
    table.run("CREATE TABLE u (a int, b int PRIMARY KEY)")
    for name in ("t", "u"):
        assert table.refused(f"INSERT INTO {name} VALUES (1, NULL)")["C"] == "23502"


def test_like(table: Any) -> None:
    """dg:r_CREATE_TABLE_NEW, LIKE: defaults only if asked for, and bytes count in the copy as well."""
    table.create("a varchar(3) DEFAULT 'x', b int NOT NULL, c super")
    table.run("CREATE TEMP TABLE u (LIKE t INCLUDING DEFAULTS)")
    table.run("CREATE TEMPORARY TABLE v (LIKE public.t)")
    table.run("INSERT INTO u (b) VALUES (1)")
    table.run("INSERT INTO v (b) VALUES (1)")
    assert table.run("SELECT a FROM u UNION ALL SELECT a FROM v") == [("x",), (None,)]
    assert table.refused("INSERT INTO u VALUES ('ää', 1)")["M"] == "value too long for type character varying(3)"
    assert table.refused("CREATE TABLE w (LIKE t INCLUDING ALL)")["C"] == "42601"
    assert table.refused("CREATE TEMP TABLE w (a int) ON COMMIT DROP")["M"] == 'syntax error at or near "ON"'


def test_create_table_as(table: Any) -> None:
    """dg:r_CREATE_TABLE_AS."""
    table.create("a int")
    table.run("CREATE TABLE u (b) DISTSTYLE ALL AS SELECT a FROM t")
    table.run("CREATE TEMP TABLE v AS SELECT a FROM t")
    assert table.run("SELECT b FROM u UNION SELECT a FROM v") == []


@pytest.mark.parametrize("sql", ["INSERT INTO t VALUES ('ää')", "UPDATE t SET a = 'äö'", "INSERT INTO t SELECT 'abcd'"])
def test_text_counts_bytes_in_every_statement(table: Any, sql: str) -> None:
    """dg:r_Character_types."""
    table.create("a varchar(3)")
    table.run("INSERT INTO t VALUES ('abc')")
    assert table.refused(sql)["C"] == "22001"


def test_names_fold_in_quotes_too(table: Any) -> None:
    """dg:r_names: ASCII letters of delimited identifiers are folded to lower case."""
    table.run('CREATE TABLE "Weird ""Name" ("User" int, "Ä" int)')
    table.run('INSERT INTO "WEIRD ""NAME" ("USER", "Ä") VALUES (1, 2)')
    cursor = table.connection.cursor()
    cursor.execute('SELECT * FROM "weird ""name"')
    assert [column[0] for column in cursor.description] == ["user", "Ä"]
    assert table.refused('CREATE TABLE u ("A" int, a int)')["C"] == "42701"


@pytest.mark.parametrize("word", ["user", "tag", "timestamp", "Order", "raw"])
def test_reserved_words_need_quotes(table: Any, word: str) -> None:
    """dg:r_pg_keywords."""
    assert table.refused(f"CREATE TABLE t ({word} int)")["M"] == f'syntax error at or near "{word}"'
    table.create(f'"{word}" int')
    assert table.load(f'{{"{word.lower()}": 1}}', target=f't ("{word}")') == [(1,)]
    assert table.refused(table.sql("{}", target=f"t ({word})"))["C"] == "42601"


def test_names_have_up_to_127_bytes(table: Any) -> None:
    """dg:r_names."""
    names = ["c" * 126 + end for end in "ab"]
    table.create(f'"{names[0]}" int, {names[1]} int')
    table.load(f'{{"{names[0]}": 1, "{names[1]}": 2}}', target=f"t ({names[0]}, {names[1]})")
    cursor = table.connection.cursor()
    cursor.execute(f"SELECT {names[1]} FROM t WHERE {names[0]} = 1")
    assert (cursor.description[0][0], cursor.fetchall()) == (names[1], ([2],))
    assert names[0] in table.refused(f"ALTER TABLE t ADD COLUMN {names[0]} int")["M"]
    assert table.refused(f'CREATE TABLE u ("{"ä" * 64}" int)')["M"].endswith("exceeds the limit of 127 bytes")


def test_a_backslash_escapes_in_a_literal(table: Any) -> None:
    """dlt and PostgreSQL 8: a quote after a backslash does not end the literal."""
    assert table.run(r"SELECT 'a\\b', 'it''s', 'x\'; SELECT 2; --'") == [("a\\b", "it's", "x'; SELECT 2; --")]
    table.create("a integer")
    evil = r"COPY t FROM 's3://b/\' IAM_ROLE default JSON \'auto\'"
    assert table.refused(evil)["C"] == "42601"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", 'syntax error at or near "ON"'),
        ("INSERT INTO t VALUES (1) RETURNING a", 'syntax error at or near "RETURNING"'),
        ("DELETE FROM t RETURNING a", 'syntax error at or near "RETURNING"'),
        ("CREATE INDEX i ON t (a)", 'SQL command "CREATE INDEX i ON t (a)" not supported on Redshift tables.'),
        ("SAVEPOINT x", 'SQL command "SAVEPOINT x" not supported on Redshift tables.'),
        ("SELECT DISTINCT ON (a) a FROM t", "SELECT DISTINCT ON is not supported"),
        ("SELECT count(*) FILTER (WHERE a > 1) FROM t", 'syntax error at or near "FILTER"'),
        ("SELECT string_agg(a::varchar, ',') FROM t", "function string_agg() does not exist"),
        ("SELECT pg_advisory_xact_lock(1)", "function pg_advisory_xact_lock() does not exist"),
        ("SELECT '{}'::jsonb", 'type "jsonb" does not exist'),
        ("SELECT ARRAY[1]", 'syntax error at or near "["'),
        ("SELECT * FROM (VALUES (1)) AS x", "VALUES lists used as constant tables are not supported"),
        ("LOCK TABLE t IN EXCLUSIVE MODE", 'syntax error at or near "IN"'),
        ("TRUNCATE t, u", 'syntax error at or near ","'),
        ("TRUNCATE t CASCADE", 'syntax error at or near "CASCADE"'),
        ("ALTER TABLE t ADD COLUMN b int, ADD COLUMN c int", 'syntax error at or near ","'),
        ("ALTER TABLE t ADD COLUMN IF NOT EXISTS b int", 'syntax error at or near "NOT"'),
        (
            "ALTER TABLE t ADD COLUMN b int NOT NULL",
            "ALTER TABLE ADD COLUMN defined as NOT NULL must have a non-null default expression",
        ),
        ("ALTER TABLE t ALTER COLUMN a TYPE bigint", 'target data type "bigint" is not supported'),
        ("ALTER TABLE t ALTER COLUMN a SET NOT NULL", 'syntax error at or near "SET"'),
        ("ALTER TABLE t ENABLE ROW LEVEL SECURITY", 'syntax error at or near "ENABLE"'),
        ("SELECT 'unfinished", 'unterminated quoted string at or near "\'unfinished"'),
    ],
)
def test_refused(table: Any, sql: str, message: str) -> None:
    """dg:c_unsupported-postgresql-features, dg:r_INSERT_30, dg:r_ALTER_TABLE, dg:r_TRUNCATE, dg:r_LOCK, dg:r_CREATE_TABLE_NEW."""
    table.create("a integer")
    assert table.refused(sql)["M"] == message


def test_words_in_literals_and_names_are_no_harm(table: Any) -> None:
    table.run('CREATE TABLE "returning" ("on" varchar(20), conflict int)')
    table.run("INSERT INTO \"returning\" VALUES ('x RETURNING y', 1) /* ON CONFLICT */ -- RETURNING")
    assert table.run('SELECT "on", conflict FROM "returning"') == [("x RETURNING y", 1)]


def test_alter_table(table: Any) -> None:
    """dg:r_ALTER_TABLE: a column at a time; a longer VARCHAR, but not in a transaction."""
    table.create("a varchar(3)")
    table.run("ALTER TABLE t ADD COLUMN \"B c\" varchar(5) DEFAULT 'ä' ENCODE zstd")
    table.run("ALTER TABLE t ADD d super")
    table.run("ALTER TABLE t ALTER COLUMN a TYPE varchar(6)")
    table.run("INSERT INTO t (a) VALUES ('äöü')")
    assert table.refused("INSERT INTO t (a) VALUES ('äöüß')")["M"] == "value too long for type character varying(6)"
    table.run("ALTER TABLE t ALTER SORTKEY (a)")
    table.run("ALTER TABLE t DROP COLUMN d")
    table.run("ALTER TABLE t RENAME COLUMN a TO e")
    assert table.run('SELECT e, "b c" FROM t') == [("äöü", "ä")]
    table.connection.autocommit = False
    table.run("SELECT 1")
    assert table.refused("ALTER TABLE t ALTER COLUMN e TYPE varchar(7)")["C"] == "25001"
    table.connection.rollback()


def test_functions_and_settings_of_redshift(table: Any) -> None:
    """dg:JSON_PARSE, dg:JSON_SERIALIZE, dg:r_NVL_COALESCE, dg:r_GETDATE, dg:r_query_group."""
    table.run("SET query_group TO 'loads'")
    assert table.run("SELECT json_serialize(json_parse('{\"b\":1,\"a\":[2]}')), nvl(NULL, 5), len('äö')") == [
        ('{"b":1,"a":[2]}', 5, 2)
    ]
    assert "Redshift" in table.run("SELECT version()")[0][0]
    assert "not imitated" in table.refused("SET enable_case_sensitive_identifier TO true")["M"]


class TestMerge:
    """dg:r_MERGE."""

    @pytest.fixture
    def pair(self, table: Any) -> Any:
        table.run("CREATE TABLE target (id int, name varchar(9))")
        table.run("CREATE TABLE source (id int, name varchar(9))")
        table.run("INSERT INTO target VALUES (1, 'a'), (2, 'b')")
        table.run("INSERT INTO source VALUES (2, 'x'), (3, 'y')")
        return table

    def test_update_and_insert(self, pair: Any) -> None:
        pair.run(
            "MERGE INTO target USING source AS s ON target.id = s.id WHEN MATCHED THEN UPDATE SET name = CASE WHEN s.id > 1 THEN s.name END, "
            "id = s.id WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name)"
        )
        assert pair.run("SELECT * FROM target ORDER BY id") == [(1, "a"), (2, "x"), (3, "y")]

    def test_delete_and_insert(self, pair: Any) -> None:
        pair.run(
            "MERGE INTO target USING source ON target.id = source.id AND target.name = source.name WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (source.id, source.name)"
        )
        assert len(pair.run("SELECT * FROM target")) == 4

    def test_rows_that_match_twice(self, pair: Any) -> None:
        pair.run("INSERT INTO source VALUES (2, 'z')")
        merge = "MERGE INTO target USING source ON target.id = source.id WHEN MATCHED THEN UPDATE SET name = source.name WHEN NOT MATCHED THEN INSERT VALUES (source.id, source.name)"
        assert pair.refused(merge)["M"] == "Found multiple matches to update the same tuple."

    @pytest.mark.parametrize(
        ("sql", "near"),
        [
            (
                "MERGE INTO target t USING source ON t.id = source.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1, 'a')",
                '"t"',
            ),
            (
                "MERGE INTO target USING (SELECT 1) s ON target.id = s.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1, 'a')",
                '"("',
            ),
            ("MERGE INTO target USING source ON target.id = source.id WHEN MATCHED THEN DELETE", "end of input"),
            (
                "MERGE INTO target USING source ON target.id = source.id WHEN NOT MATCHED THEN INSERT VALUES (1, 'a')",
                '"NOT"',
            ),
            (
                "MERGE INTO target USING source ON target.id = source.id WHEN MATCHED AND true THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1, 'a')",
                '"AND"',
            ),
            (
                "MERGE INTO target USING source ON target.id = source.id WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN INSERT VALUES (1, 'a')",
                '"DO"',
            ),
            (
                "MERGE INTO target USING source ON target.id = source.id WHEN MATCHED THEN UPDATE SET target.name = 'x' WHEN NOT MATCHED THEN INSERT VALUES (1, 'a')",
                '"."',
            ),
        ],
    )
    def test_a_narrower_syntax(self, pair: Any, sql: str, near: str) -> None:
        assert near in pair.refused(sql)["M"]

    @pytest.mark.parametrize(
        "condition",
        [
            "target.id > source.id",
            "target.id = source.id OR target.name = source.name",
            "target.id = 1",
            "target.id IS NOT DISTINCT FROM source.id",
        ],
    )
    def test_equal_predicates_only(self, pair: Any, condition: str) -> None:
        merge = f"MERGE INTO target USING source ON {condition} WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1, 'a')"
        assert "equal predicates" in pair.refused(merge)["M"]

    def test_not_with_itself(self, pair: Any) -> None:
        merge = "MERGE INTO target USING target ON target.id = target.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1, 'a')"
        assert "same table" in pair.refused(merge)["M"]


def test_identity_columns_are_defaults_in_the_catalog_and_take_no_values(table: Any) -> None:
    """dg:r_CREATE_TABLE_NEW, IDENTITY; the catalog as drivers of Amazon's read it."""
    table.create(
        "a int identity(5, 2), b int generated by default as identity(1, 1), c varchar(9) not null default 'x\\\\y', d int"
    )
    defaults = table.run(
        "SELECT attname, adsrc FROM pg_attrdef JOIN pg_catalog.pg_attribute ON attrelid = adrelid AND attnum = adnum "
        "JOIN pg_class AS c ON c.oid = attrelid WHERE relname = 't' ORDER BY attnum"
    )
    assert [name for name, _ in defaults] == ["a", "b", "c"]
    assert defaults[0][1].startswith('"identity"(')
    assert defaults[0][1].endswith(", 0, '5,2'::text)")
    assert defaults[1][1].startswith("default_identity(")
    assert table.run(f"SELECT {defaults[2][1]}") == [("x\\y",)]
    refused = table.refused("INSERT INTO t (a, d) VALUES (1, 1)")
    assert refused["M"] == 'cannot set an identity column "a" to a value'
    assert table.refused("INSERT INTO t (b, d) VALUES (NULL, 1)")["M"] == "Cannot insert a NULL value into column b"
    assert table.refused("INSERT INTO t (c, d) VALUES (NULL, 1)")["M"] == "Cannot insert a NULL value into column c"
    table.run("INSERT INTO t (b, d) VALUES (7, 1)")
    table.run("INSERT INTO t (d) VALUES (2)")
    assert table.run("SELECT d, b = 7, c FROM t ORDER BY d") == [(1, True, "x\\y"), (2, False, "x\\y")]


def test_like_copies_not_null_and_no_identity_and_a_query_copies_neither(table: Any) -> None:
    """dg:r_CREATE_TABLE_NEW, LIKE; dg:r_CTAS_usage_notes: no constraints, identities, defaults or primary key."""
    table.create("a int identity(1, 1), b varchar(9) not null default 'x', c char(3), d super, e decimal(7, 2)")
    table.run("CREATE TEMP TABLE alike (LIKE t INCLUDING DEFAULTS)")
    assert table.refused("INSERT INTO alike (c) VALUES ('z')")["M"] == "Cannot insert a NULL value into column a"
    table.run("CREATE TEMP TABLE queried AS SELECT a, b, c, d, e FROM t WHERE 1 = 0")
    table.run("INSERT INTO queried (c) VALUES ('z')")
    assert table.run("SELECT a, b, c FROM queried") == [(None, None, "z  ")]
    types = "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid "
    kept = [table.run(f"{types}WHERE relname = '{name}' AND attnum > 0 ORDER BY attnum") for name in ("t", "queried")]
    assert kept[0] == kept[1]
    assert table.refused("INSERT INTO queried (b) VALUES ('ääääää')")["C"] == "22001"
