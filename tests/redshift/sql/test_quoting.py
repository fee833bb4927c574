"""Names and values that try to break out of a statement stay names and values."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError
from beam_s3box.redshift import Column, alter_table_sql, copy_sql, create_table_sql
from beam_s3box.redshift.sql.quoting import MAX_NAME_BYTES, column_list, folded, identifier, literal, qualified
from tests.redshift.sql.tokens import Token, kinds, texts, tokens

EVIL = st.text(st.sampled_from("'\"\\;-/*()$%:ab,.\n\t é"), min_size=1, max_size=20)
NAMES = EVIL | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)
ROLE = "arn:aws:iam::123456789012:role/loader"


@given(NAMES)
@example('a" INTEGER); DROP TABLE t; --')
@example('""')
def test_a_name_comes_back_as_it_was(name: str) -> None:
    assert tokens(identifier(name)) == [Token("name", name)]


@given(EVIL | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
@example("\\'; DROP TABLE t; --")
@example("\\")
@example("'")
def test_a_value_comes_back_as_it_was(value: str) -> None:
    assert tokens(literal(value)) == [Token("text", value)]


@given(st.tuples(NAMES, NAMES), st.lists(NAMES, min_size=1, max_size=5, unique_by=folded), EVIL, EVIL)
def test_nothing_chosen_changes_the_form_of_a_statement(
    table: tuple[str, str], columns: list[str], key: str, pattern: str
) -> None:
    plain = copy_sql("s3://b/k", ("s", "t"), columns=[f"c{i}" for i, _ in enumerate(columns)], iam_role=ROLE)
    url = f"s3://b/{key.translate({9: None, 10: None})}k"
    chosen = copy_sql(url, table, columns=columns, iam_role=ROLE, timeformat=f"x{pattern}")
    assert kinds(chosen) == kinds(plain)
    assert texts(chosen, "name") == [*table, *columns]
    assert texts(chosen, "text")[0] == url
    assert f"x{pattern}" in texts(chosen, "text")


@given(st.tuples(NAMES, NAMES), st.lists(NAMES, min_size=2, max_size=5, unique_by=folded))
def test_nothing_chosen_changes_the_form_of_a_table(table: tuple[str, str], names: list[str]) -> None:
    columns = [Column(name, "BIGINT") for name in names]
    plain = create_table_sql("s.t", {f"c{i}": "BIGINT" for i, _ in enumerate(names)}, dist_key="c0", sort_keys=["c1"])
    chosen = create_table_sql(table, columns, dist_key=names[0], sort_keys=[names[1]])
    assert kinds(chosen) == kinds(plain)
    assert texts(chosen, "name") == [*table, *names, names[0], names[1]]
    for name, statement in zip(names, alter_table_sql(table, {}, columns), strict=True):
        assert kinds(statement) == kinds(alter_table_sql("s.t", {}, {"c": "BIGINT"})[0])
        assert texts(statement, "name") == [*table, name]


@pytest.mark.parametrize(
    ("table", "sql"),
    [
        ("t", '"t"'),
        ("s.t", '"s"."t"'),
        ("db.s.t", '"db"."s"."t"'),
        (("s", "a.b"), '"s"."a.b"'),
        (["s", 'a"b'], '"s"."a""b"'),
        ("web.order", '"web"."order"'),
        ("web.Über", '"web"."Über"'),
    ],
)
def test_tables(table: str | tuple[str, ...], sql: str) -> None:
    assert qualified(table) == sql


@pytest.mark.parametrize("table", ["", ".", "s.", ".t", "a.b.c.d", '"s"."t"', (), ("s", ""), ("a", "b", "c", "d")])
def test_what_is_no_table_is_refused(table: str | tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match=r"table=.*must"):
        qualified(table)


def test_a_name_has_up_to_127_bytes_of_utf8() -> None:
    assert MAX_NAME_BYTES == 127
    assert identifier("é" * 63 + "a") == '"' + "é" * 63 + 'a"'
    with pytest.raises(ConfigurationError, match="has 128 bytes in UTF-8"):
        identifier("é" * 64)
    with pytest.raises(ConfigurationError, match="has 0 bytes"):
        identifier("")


@pytest.mark.parametrize("quote", [identifier, literal])
def test_what_no_statement_can_hold_is_refused(quote: type[str]) -> None:
    with pytest.raises(ConfigurationError, match="NUL"):
        quote("a\0b")
    with pytest.raises(ConfigurationError, match="lone surrogate"):
        quote("a\ud800")
    with pytest.raises(ConfigurationError, match="must be text, not int"):
        quote(7)


def test_an_error_about_a_value_does_not_show_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        literal("hunter2\0", "credentials")
    assert "hunter2" not in str(caught.value)
    assert "credentials" in str(caught.value)


def test_only_ascii_letters_are_folded() -> None:
    assert folded("AMZ_OrderÉ_İ") == "amz_orderÉ_İ"


def test_a_list_of_columns() -> None:
    assert column_list(["a", "Order", 'x"']) == '("a", "Order", "x""")'
