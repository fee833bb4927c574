"""How COPY loads the values of a JSON file, for each column type."""

from __future__ import annotations

import datetime
import decimal
import json
from typing import Any

import pytest


def test_all_types_arrive(table: Any) -> None:
    """dg:c_Supported_data_types."""
    table.create(
        "a smallint, b integer, c bigint, d decimal(10,3), e real, f double precision, g boolean, h char(3), i varchar(10), "
        "j date, k timestamp, l timestamptz, m super"
    )
    row = {
        "a": -32768, "b": 2147483647, "c": -9223372036854775808, "d": "1234567.891", "e": 1.5, "f": 1e300, "g": True,
        "h": "abc", "i": "äöü€", "j": "2024-02-29", "k": "2024-02-29T01:02:03.000004", "l": "2024-02-29T01:02:03.5+02:00",
        "m": {"b": [1, None, "x"], "a": {}},
    }  # fmt: skip
    utc = datetime.UTC
    assert table.load(json.dumps(row), "FORMAT AS JSON 'auto' TIMEFORMAT 'auto' DATEFORMAT 'auto'") == [
        (
            -32768, 2147483647, -9223372036854775808, decimal.Decimal("1234567.891"), 1.5, 1e300, True, "abc", "äöü€",
            datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 1, 2, 3, 4),
            datetime.datetime(2024, 2, 28, 23, 2, 3, 500000, tzinfo=utc), '{"b":[1,null,"x"],"a":{}}',
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("type_name", "value", "reason"),
    [
        ("smallint", "32768", "Overflow (Short has 16 bits)"),
        ("integer", "2147483648", "Overflow (Integer has 32 bits)"),
        ("bigint", "9223372036854775808", "Overflow (Long has 64 bits)"),
        ("integer", '"a"', "Invalid digit, Value 'a', Pos 0, Type: Integer"),
        ("integer", "1.5", "Invalid digit, Value '.', Pos 1, Type: Integer"),
        ("integer", "true", "Invalid digit, Value 't', Pos 0, Type: Integer"),
        ("decimal(4,2)", "123.4", "Numeric data overflow"),
        ("decimal(4,2)", '"NaN"', "Invalid digit, Value 'N', Pos 0, Type: Decimal"),
        ("double precision", '"x"', "Invalid digit, Value 'x', Pos 0, Type: Double"),
        ("real", "1e39", "Overflow for a floating-point column"),
        ("double precision", "1e309", "Overflow for a floating-point column"),
        ("boolean", '"maybe"', "Invalid boolean value"),
        ("time", '"01:02:03"', "Columns of type time without time zone can't be loaded from JSON"),
        ("varbyte(10)", '"00ff"', "Columns of type bytea can't be loaded from JSON"),
    ],
)
def test_a_value_of_another_type_is_an_error(table: Any, type_name: str, value: str, reason: str) -> None:
    """dg:copy-parameters-data-conversion: COPY converts implicitly, or the row fails; dg:SYS_LOAD_ERROR_DETAIL has the wording."""
    assert table.create(f"a {type_name}").fails(f'{{"a": {value}}}') == reason


@pytest.mark.parametrize(
    "type_name", ["integer", "decimal(4,2)", "real", "boolean", "date", "timestamp", "timestamptz"]
)
@pytest.mark.parametrize("value", ['""', '"  "', "null"])
def test_empty_is_null_outside_text(table: Any, type_name: str, value: str) -> None:
    """dg:copy-parameters-data-format: empty strings for data types other than text are loaded with NULL."""
    assert table.create(f"a {type_name}").load(f'{{"a": {value}}}') == [(None,)]


def test_empty_and_blank_text(table: Any) -> None:
    """dg:copy-parameters-data-conversion, EMPTYASNULL and BLANKSASNULL."""
    text = '{"a": ""} {"a": "  "} {"a": null}'
    table.create("a varchar(5)")
    assert table.load(text) == [("",), ("  ",), (None,)]
    table.run("DELETE FROM t")
    assert table.load(text, "FORMAT AS JSON 'auto' EMPTYASNULL BLANKSASNULL") == [(None,), (None,), (None,)]


def test_trimblanks(table: Any) -> None:
    """dg:copy-parameters-data-conversion, TRIMBLANKS: white space at the end of VARCHAR."""
    assert table.create("a varchar(9)").load('{"a": " x \\n "}', "FORMAT AS JSON 'auto' TRIMBLANKS") == [(" x",)]


def test_decimals_are_truncated_unless_roundec(table: Any) -> None:
    """dg:copy-parameters-data-conversion, ROUNDEC."""
    table.create("a decimal(8,2)")
    assert table.load('{"a": 20.259}') == [(decimal.Decimal("20.25"),)]
    table.run("DELETE FROM t")
    assert table.load('{"a": "-20.259"}', "FORMAT AS JSON 'auto' ROUNDEC") == [(decimal.Decimal("-20.26"),)]


def test_lengths_count_bytes(table: Any) -> None:
    """dg:r_Character_types: the length of VARCHAR is in bytes."""
    table.create("a varchar(4)")
    assert table.load('{"a": "ää"}') == [("ää",)]
    assert table.fails('{"a": "äää"}') == "String length exceeds DDL length"
    assert table.fails('{"a": "abcde"}') == "String length exceeds DDL length"


def test_truncatecolumns_cuts_before_a_character(table: Any) -> None:
    """dg:copy-parameters-data-conversion, TRUNCATECOLUMNS."""
    assert table.create("a varchar(4)").load('{"a": "aää"}', "FORMAT AS JSON 'auto' TRUNCATECOLUMNS") == [("aä",)]


def test_the_longest_string(table: Any) -> None:
    """dg:r_Character_types: 65,535 bytes."""
    table.create("a varchar(max)")
    assert table.load(json.dumps({"a": "x" * 65_535})) == [("x" * 65_535,)]
    assert table.fails(json.dumps({"a": "x" * 65_536})) == "String length exceeds DDL length"


def test_char_takes_ascii_only(table: Any) -> None:
    """dg:multi-byte-character-load-errors."""
    table.create("a char(4)")
    assert table.load('{"a": "ab"}') == [("ab  ",)]
    reason = "Multibyte character not supported for CHAR (Hint: Try using VARCHAR). Invalid char: c3 a4"
    assert table.fails('{"a": "ä"}') == reason
    assert table.fails('{"a": "abcde"}') == "Char length exceeds DDL length"


@pytest.mark.parametrize(("text", "loaded"), [(b'{"a": "x\xff\xe4y"}', "x??y"), (b'{"a": "x\\ud800y"}', "x???y")])
def test_invalid_characters(table: Any, text: bytes, loaded: str) -> None:
    """dg:copy-parameters-data-conversion, ACCEPTINVCHARS: a string of equal length replaces them."""
    table.create("a varchar(10)")
    assert table.fails(text) == "String contains invalid or unsupported UTF8 codepoints."
    assert table.load(text, "FORMAT AS JSON 'auto' ACCEPTINVCHARS") == [(loaded,)]
    table.run("DELETE FROM t")
    assert table.load(text, "FORMAT AS JSON 'auto' ACCEPTINVCHARS AS '^'") == [(loaded.replace("?", "^"),)]


def test_acceptinvchars_is_for_varchar_only(table: Any) -> None:
    """dg:copy-parameters-data-conversion: valid only for VARCHAR columns."""
    table.create("a super")
    options = "FORMAT AS JSON 'auto' ACCEPTINVCHARS"
    assert table.fails(b'{"a": "\xff"}', options) == "String contains invalid or unsupported UTF8 codepoints."


def test_nul_ends_a_string_and_can_not_begin_it(table: Any) -> None:
    """Seen in practice and in no page of the guide: what follows NUL is lost, a leading one is an error."""
    table.create("a varchar(9)")
    assert table.load('{"a": "ab\\u0000cd"}') == [("ab",)]
    assert table.fails('{"a": "\\u0000cd"}') == "Invalid null byte - field longer than 1 byte"


def test_escapes_quotes_and_line_breaks(table: Any) -> None:
    """dg:copy-parameters-data-format: JSON's own escapes."""
    value = "a\n\t\r|\\\"'\\N\\. ü😀"
    assert table.create("a varchar(50)").load(json.dumps({"a": value})) == [(value,)]


def test_nested_values_into_text(table: Any) -> None:
    """dg:copy-usage_notes-copy-from-json: the JSON text."""
    table.create("a varchar(50)")
    assert table.load('{"a": {"x": [1, 2.50, "ü"]}} {"a": [true]} {"a": 1.0} {"a": false}') == [
        ('{"x":[1,2.50,"ü"]}',), ("[true]",), ("1.0",), ("false",),
    ]  # fmt: skip


def test_booleans(table: Any) -> None:
    """dg:r_Boolean_type: literals of true and false."""
    text = '{"a": "t"} {"a": "YES"} {"a": 1} {"a": "false"} {"a": "n"} {"a": 0}'
    assert table.create("a boolean").load(text) == [(True,), (True,), (True,), (False,), (False,), (False,)]


def test_not_null(table: Any) -> None:
    """dg:copy-parameters-data-format: NULL for a column that is NOT NULL fails; a column without a key is NULL, not DEFAULT."""
    table.create("a integer not null, b integer default 7")
    assert table.fails('{"b": 1}') == "Missing data for not-null field"
    assert table.load('{"a": 1}') == [(1, None)]
    assert table.load('{"a": 2}', target="t (a)") == [(1, None), (2, 7)]


def test_limits_of_super(table: Any) -> None:
    """dg:limitations-super, dg:super-configurations."""
    table.create("a super")
    assert table.load(json.dumps({"a": "x" * 65_535})) == [(json.dumps("x" * 65_535),)]
    assert table.fails(json.dumps({"a": ["x" * 65_536]})) == "String value exceeds the max size of 65535 bytes"
    assert table.fails('{"a": {"k": 1, "k": 2}}') == "Duplicate attribute k in SUPER object"
    deep = "[" * 1001 + "]" * 1001
    assert table.fails(f'{{"a": {deep}}}').startswith(("The nesting depth of SUPER exceeds 1000", "Invalid JSON"))
