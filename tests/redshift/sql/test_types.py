"""Types in the spellings of users, catalogs and the documentation, and which type holds which."""

from __future__ import annotations

import pytest

from beam_s3box.errors import ConfigurationError
from beam_s3box.redshift.sql.types import parse_type


@pytest.mark.parametrize(
    ("text", "type"),
    [
        ("bigint", "BIGINT"),
        (" Int8 ", "BIGINT"),
        ("double  precision", "DOUBLE PRECISION"),
        ("float", "DOUBLE PRECISION"),
        ("numeric", "DECIMAL(18, 0)"),
        ("numeric(10)", "DECIMAL(10, 0)"),
        ("DECIMAL( 38 , 37 )", "DECIMAL(38, 37)"),
        ("character varying(20)", "VARCHAR(20)"),
        ("varchar", "VARCHAR(256)"),
        ("VARCHAR(max)", "VARCHAR(65535)"),
        ("text", "VARCHAR(256)"),
        ("char", "CHAR(1)"),
        ("character(3)", "CHAR(3)"),
        ("varbyte", "VARBYTE(64000)"),
        ("timestamp without time zone", "TIMESTAMP"),
        ("timestamp with time zone", "TIMESTAMPTZ"),
        ("super", "SUPER"),
    ],
)
def test_spellings(text: str, type: str) -> None:
    assert str(parse_type(text)) == type
    assert str(parse_type(type)) == type


@pytest.mark.parametrize(
    "text",
    ["", "VARCHAR(0)", "VARCHAR(65536)", "VARCHAR(1, 2)", "CHAR(4097)", "DECIMAL(39)", "DECIMAL(10, 11)", "DECIMAL(0)",
     "DECIMAL(MAX)", "DECIMAL(38, 38)", "BIGINT(3)", "SUPER(MAX)", "TEXT(9)", "BIGINT NOT NULL", "BIGINT)", "JSONB",
     "VARCHAR(10)); DROP TABLE t; --", "VARCHAR(-1)", "VARCHAR(１０)", 7, None],
)  # fmt: skip
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"type=.*(is not a type of Redshift|has an invalid size)"):
        parse_type(text)


HELD = [
    ("SUPER", "BIGINT"),
    ("SUPER", "VARCHAR(65535)"),
    ("VARCHAR(20)", "VARCHAR(20)"),
    ("VARCHAR(20)", "CHAR(3)"),
    ("VARCHAR(20)", "BIGINT"),
    ("VARCHAR(256)", "TIMESTAMPTZ"),
    ("VARCHAR(256)", "DECIMAL(38, 10)"),
    ("CHAR(3)", "CHAR(2)"),
    ("BIGINT", "INTEGER"),
    ("INTEGER", "SMALLINT"),
    ("BIGINT", "DECIMAL(15, 0)"),
    ("BIGINT", "DECIMAL(18, 0)"),
    ("DOUBLE PRECISION", "DECIMAL(15, 0)"),
    ("DOUBLE PRECISION", "INTEGER"),
    ("DECIMAL(38, 0)", "BIGINT"),
    ("DECIMAL(19, 0)", "BIGINT"),
    ("DECIMAL(38, 4)", "DECIMAL(10, 2)"),
    ("TIMESTAMP", "DATE"),
    ("DATE", "DATE"),
]
NOT_HELD = [
    ("VARCHAR(19)", "VARCHAR(20)"),
    ("VARCHAR(19)", "BIGINT"),
    ("VARCHAR(65535)", "SUPER"),
    ("CHAR(20)", "VARCHAR(2)"),
    ("CHAR(2)", "CHAR(3)"),
    ("SMALLINT", "INTEGER"),
    ("INTEGER", "BIGINT"),
    ("INTEGER", "DECIMAL(15, 0)"),
    ("BIGINT", "DECIMAL(19, 0)"),
    ("BIGINT", "DECIMAL(10, 1)"),
    ("BIGINT", "DOUBLE PRECISION"),
    ("BIGINT", "VARCHAR(1)"),
    ("DOUBLE PRECISION", "BIGINT"),
    ("DOUBLE PRECISION", "DECIMAL(16, 0)"),
    ("REAL", "INTEGER"),
    ("REAL", "DOUBLE PRECISION"),
    ("DECIMAL(18, 0)", "BIGINT"),
    ("DECIMAL(20, 2)", "BIGINT"),
    ("DECIMAL(38, 2)", "DECIMAL(10, 3)"),
    ("DECIMAL(10, 4)", "DECIMAL(10, 2)"),
    ("DECIMAL(38, 10)", "DOUBLE PRECISION"),
    ("TIMESTAMP", "TIMESTAMPTZ"),
    ("TIMESTAMPTZ", "TIMESTAMP"),
    ("DATE", "TIMESTAMP"),
    ("BOOLEAN", "SMALLINT"),
    ("BIGINT", "BOOLEAN"),
]


@pytest.mark.parametrize(("wide", "narrow"), HELD)
def test_what_is_held(wide: str, narrow: str) -> None:
    assert parse_type(wide).holds(parse_type(narrow))


@pytest.mark.parametrize(("type", "other"), NOT_HELD)
def test_what_is_not_held(type: str, other: str) -> None:
    assert not parse_type(type).holds(parse_type(other))


def test_every_type_holds_itself() -> None:
    for type in {text for pair in (*HELD, *NOT_HELD) for text in pair}:
        assert parse_type(type).holds(parse_type(type))
