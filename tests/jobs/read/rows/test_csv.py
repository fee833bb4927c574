"""CSV, row by row against Python's csv module and DuckDB; the delimiter, names, comments, types and rejected rows."""

from __future__ import annotations

import csv
import io
import json
import pathlib
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.read.csv.dialect import CsvDialect
from beam_s3box.jobs.read.csv.reader import read_csv
from beam_s3box.jobs.read.row_batches import as_lines
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.rejected_rows import RejectedRow

LIMIT = 100_000


def read(text: str | bytes, path: str = "f.csv", block: int = 1 << 20, **options: Any) -> list[tuple[int, Any]]:
    data = text.encode() if isinstance(text, str) else text
    blocks = iter([data[at : at + block] for at in range(0, len(data), block)])
    found: list[tuple[int, Any]] = []
    for some in as_lines(read_csv(blocks, path, CsvDialect(**options), LIMIT)):
        if isinstance(some, LineBatch):
            found += zip(some.numbers, map(json.loads, some.lines), strict=True)
        else:
            found.append((some.line, some))
    return found


def rows(text: str | bytes, **options: Any) -> list[Any]:
    return [row for _, row in read(text, **options)]


VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@given(
    table=st.lists(st.lists(VALUES, min_size=3, max_size=3), max_size=6),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    block=st.integers(1, 40),
    mark=st.sampled_from(["", "\ufeff"]),
)
def test_what_the_csv_module_writes_is_read_back(
    table: list[list[str]], delimiter: str, end: str, block: int, mark: str
) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([["a", "b", "c"], *table])
    text = mark + buffer.getvalue()
    expected = [dict(zip("abc", values, strict=True)) for values in table]
    assert [row for _, row in read(text, block=block, delimiter=delimiter, comment="none")] == expected
    assert [row for _, row in read(text, block=block, delimiter=delimiter, encoding="utf-8")] == expected
    utf16 = text.encode("utf-16-le")
    assert [row for _, row in read(utf16, block=block, delimiter=delimiter, encoding="utf-16-le")][-1:] == expected[-1:]


def test_another_reader_finds_the_same(tmp_path: pathlib.Path) -> None:
    text = 'id,name,note\n1,"Ann ""A"" Lee","two\nlines"\n2,,"a,b"\n003,Ü,x\n'
    (tmp_path / "a.csv").write_text(text)
    found: Any = duckdb.sql(f"SELECT * FROM read_csv('{tmp_path}/a.csv', all_varchar=true)")
    theirs = [{k: v or "" for k, v in zip(found.columns, row, strict=True)} for row in found.fetchall()]
    assert rows(text) == theirs


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b\n1,2\n", ["a", "b"]),
        ("a;b\n1;2,5\n", ["a", "b"]),
        ("a\tb\n1\t2;3\n", ["a", "b"]),
        ("a|b\n1|2\n", ["a", "b"]),
        ("a\n1;2\n", ["a"]),
        ('"a,x";b\n1;2\n', ["a,x", "b"]),
        ("a,x;b\n1;2\n3;4\n", ["a,x", "b"]),
        ("a;b\n", ["a", "b"]),
    ],
)
def test_delimiters_are_told_by_the_first_rows(text: str, names: list[str]) -> None:
    assert all(list(row) == names for row in rows(text) if isinstance(row, dict))


@pytest.mark.parametrize("text", ["a,b;c\n1,2;3\n", "a,b;c\n", "a|b,c\n1|2\n1,2\n"])
def test_a_delimiter_in_doubt_is_asked_for(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"'f\.csv'.* could be .* say which by --csv_delimiter"):
        rows(text)
    assert rows(text, delimiter=",") or text.count("\n") == 1


def test_a_tsv_has_tabs_whatever_its_values_have() -> None:
    assert read("a,x\n1\n", path="f.TSV.gz") == [(2, {"a,x": "1"})]


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("# made, now\n#\na,b,c\n1,2,3\n", {}, [(4, {"a": "1", "b": "2", "c": "3"})]),
        ("#,b\n1,2\n", {}, [(2, {"#": "1", "b": "2"})]),
        ("#x\n#a,b\n1,2\n", {}, [(3, {"#a": "1", "b": "2"})]),
        ("a,b\n#1,2\n", {}, [(2, {"a": "#1", "b": "2"})]),
        ("a,b\n#1,2\n3,4\n", {"comment": "#"}, [(3, {"a": "3", "b": "4"})]),
        ('a,b\n1,"x\n#y"\n', {"comment": "#"}, [(2, {"a": "1", "b": "x\n#y"})]),
        ("# a,b\n1,2\n", {"comment": "none"}, [(2, {"# a": "1", "b": "2"})]),
        ("\n\r\n a,b\n\n1,2\n", {}, [(5, {" a": "1", "b": "2"})]),
        ("1,2\n", {"header": "none"}, [(1, {"column_1": "1", "column_2": "2"})]),
        ("1,2\n", {"header": "a,b"}, [(1, {"a": "1", "b": "2"})]),
        (
            "a,a,,a_2\n1,2,3,4\n",
            {"duplicate_names": "rename"},
            [(2, {"a": "1", "a_3": "2", "column_3": "3", "a_2": "4"})],
        ),
        ("", {}, []),
        ("\n\n", {}, []),
        ("a,b", {}, []),
    ],
)
def test_where_rows_begin_and_what_columns_are_called(text: str, options: dict[str, Any], expected: Any) -> None:
    assert read(text, **options) == expected


def test_a_first_line_that_could_be_a_comment_is_asked_about() -> None:
    with pytest.raises(ConfigurationError, match=r"'f\.csv'.*could be a comment or the names.*--csv_comment"):
        rows("# made, now\na,b\n1,2\n")


def test_types_are_those_of_the_whole_column() -> None:
    text = "i,zip,f,b,mixed,empty,big,neg,e\n1,007,1.50,true,1,,123456789012345678901234567890,-1,1e-05\n,8,2,FALSE,x,,1,-0.5,\n"
    data = iter([text.encode()])
    (batch,) = as_lines(read_csv(data, "f.csv", CsvDialect(types="infer"), LIMIT))
    assert isinstance(batch, LineBatch)
    assert batch.lines == [
        b'{"i":1,"zip":"007","f":1.50,"b":true,"mixed":"1","empty":"","big":123456789012345678901234567890,'
        b'"neg":-1,"e":1e-05}',
        b'{"i":null,"zip":"8","f":2,"b":false,"mixed":"x","empty":"","big":1,"neg":-0.5,"e":null}',
    ]


@pytest.mark.parametrize("value", ["007", "-0", "+1", ".5", "1.", "12e4", "1e999", " 1", "0x1", "NaN", "1_000", "١"])
def test_what_is_not_a_number_as_it_stands_stays_text(value: str) -> None:
    assert rows(f"v\n1\n{value}\n", types="infer", delimiter="|") == [{"v": "1"}, {"v": value}]


def test_rows_of_another_length_keep_their_text_and_line() -> None:
    found = read('a,b\n1\n"x\ny",2,3\n4,5\n')
    assert sorted(found, key=lambda row: row[0]) == [
        (2, RejectedRow("csv-row-length", "1 value, and the file has 2 columns", "f.csv", 2, b"1")),
        (3, RejectedRow("csv-row-length", "3 values, and the file has 2 columns", "f.csv", 3, b'"x\ny",2,3')),
        (5, {"a": "4", "b": "5"}),
    ]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ('a,b\n1,"x" y\n', {}, r"'f\.csv' is not valid CSV at line 2: .*--csv_quote"),
        ('a,b\n1,2\n3,"x\n\n\n', {}, "at line 3"),
        (b"a,b\n1,\xff\n", {}, "in UTF-8 at line 2: .*--csv_encoding"),
        (b"a\xff,b\n1,2\n", {}, "in UTF-8: the names"),
        (b"a\n\x81\n", {"encoding": "cp1252"}, "in cp1252"),
        ("a,b\n1," + "x" * LIMIT + "\n", {}, "at line 2: a line of more than 100000"),
        ('a,b\n1,"' + "x\n" * LIMIT + '"\n', {}, "at line 2: field larger than field limit"),
        ("a,a\n", {}, "'a'"),
    ],
)
def test_what_is_no_csv_says_the_file_and_the_line(text: Any, options: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        rows(text, **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"delimiter": "::"}, "csv_delimiter='::' must be one character, or 'tab' or 'auto'"),
        ({"quote": ""}, "csv_quote='' must be one character, or 'none'"),
        ({"encoding": "klingon"}, "csv_encoding='klingon'"),
        ({"encoding": "hex"}, "csv_encoding='hex'"),
        ({"types": "guess"}, "csv_types='guess' must be one of text, infer"),
        ({"delimiter": '"'}, "must be different characters"),
    ],
)
def test_options_that_can_not_be_used(options: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        CsvDialect(**options)
