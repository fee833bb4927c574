"""What COPY reads in a JSON file: objects at the root, keys, sizes, errors and how many of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

_IGNORE_CASE = "FORMAT AS JSON 'auto ignorecase'"
_NOT_AN_OBJECT = "Invalid JSONPath format: Member is not an object."


def test_objects_need_no_line_of_their_own(table: Any) -> None:
    """dg:copy-parameters-data-format: root-level objects with white space between them."""
    assert table.create("a integer").load('{"a":1}{"a":\n2}\r\n\t {"a":3}') == [(1,), (2,), (3,)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a":1},{"a":2}', "Invalid JSON: no object or array at the root"),
        ('x {"a":2}', "Invalid JSON: no object or array at the root"),
        ("1", "Invalid JSON: no object or array at the root"),
        ('[{"a":1}]', _NOT_AN_OBJECT),
        ('{"a":1', "Invalid JSON: Expecting ',' delimiter: line 1 column 7 (char 6)"),
        ("{'a':1}", "Invalid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ('{"a":NaN}', "Invalid JSON: NaN is not JSON"),
        ('{"a":-Infinity}', "Invalid JSON: -Infinity is not JSON"),
    ],
)
def test_anything_else_is_an_error(table: Any, text: str, reason: str) -> None:
    """dg:copy-parameters-data-format: well-formed, not separated by commas, not a member of another structure."""
    assert table.create("a integer").fails(text) == reason


def test_keys_match_lower_case(table: Any) -> None:
    """dg:copy-parameters-data-format, 'auto': column names are lower case, so must be the keys."""
    table.create('"Id" integer, name varchar(9)')
    assert table.load('{"Id": 1, "name": "a", "other": [1]}') == [(None, "a")]
    assert table.load('{"ID": 2, "nAmE": "b"}', _IGNORE_CASE) == [(None, "a"), (2, "b")]


def test_keys_that_fall_together_fail(table: Any) -> None:
    """Not documented, so the row is rejected: one of two values would be lost."""
    table.create("a integer")
    assert table.fails('{"a": 1, "a": 2}') == "Duplicate key a in JSON object"
    assert table.fails('{"a": 1, "A": 2}', _IGNORE_CASE) == "Duplicate key a in JSON object"
    assert table.load('{"a": 1, "A": 2, "b": 1, "b": 2}') == [(1,)]


def test_jsonpaths(table: Any, files: Any) -> None:
    """dg:copy-usage_notes-copy-from-json: paths in the order of the columns, for objects and for arrays."""
    table.create("a integer, b varchar(9)")
    url = files.put("paths", json.dumps({"jsonpaths": ["$['X']['y'][1]", "$['Z']"]}).encode())
    assert table.load('{"X": {"y": [1, 2]}, "Z": "z"} {"X": 1}', f"FORMAT AS JSON '{url}'") == [(2, "z"), (None, None)]
    table.run("DELETE FROM t")
    url = files.put("dots", json.dumps({"jsonpaths": ["$.X.y[0]"]}).encode())
    assert table.load('{"X": {"y": [1, 2]}}', f"FORMAT AS JSON '{url}'", "t (a)") == [(1, None)]
    table.run("DELETE FROM t")
    url = files.put("array", json.dumps({"jsonpaths": ["$[1]", "$[0]"]}).encode())
    assert table.load('["x", 5]', f"FORMAT AS JSON '{url}'") == [(5, "x")]


@pytest.mark.parametrize("path", ["$.a['b']", "$['a'].b", "$.*", "$..a", "$[?(@.a)]", "a", "$.a[*]"])
def test_jsonpaths_are_simple(table: Any, files: Any, path: str) -> None:
    """dg:copy-usage_notes-copy-from-json: brackets or dots, no wildcards, no filters."""
    table.create("a integer")
    url = files.put("paths", json.dumps({"jsonpaths": [path]}).encode())
    assert table.refused(table.sql('{"a": 1}', f"FORMAT AS JSON '{url}'"))["M"].startswith("Invalid JSONPath format")


def test_as_many_paths_as_columns(table: Any, files: Any) -> None:
    """dg:copy-parameters-data-format, JSONPaths file."""
    table.create("a integer, b integer")
    url = files.put("paths", b'{"jsonpaths": ["$.a"]}')
    failed = table.refused(table.sql('{"a": 1}', f"FORMAT AS JSON '{url}'"))
    assert failed["M"].startswith("Number of jsonpaths and the number of columns should match. JSONPath size: 1,")


def test_another_name_in_the_jsonpaths_file_is_auto(table: Any, files: Any) -> None:
    """dg:copy-usage_notes-copy-from-json: if the name is any other string, COPY uses 'auto'."""
    url = files.put("paths", b'{"JSONPaths": ["$.b"]}')
    assert table.create("a integer").load('{"a": 1, "b": 2}', f"FORMAT AS JSON '{url}'") == [(1,)]


def test_noshred(table: Any) -> None:
    """dg:copy-parameters-data-format, 'noshred': a table with a single SUPER column."""
    assert table.create("a super").load('{"X": 1}[2]', "FORMAT AS JSON 'noshred'") == [('{"X":1}',), ("[2]",)]
    table.run("ALTER TABLE t ADD COLUMN b integer")
    assert "single SUPER column" in table.refused(table.sql("{}", "FORMAT AS JSON 'noshred'"))["M"]


def test_an_object_has_at_most_4_mb(table: Any) -> None:
    """dg:copy-parameters-data-format: 4 MB with the braces, keys of no column too."""
    table.create("a integer")
    frame = len('{"a":1,"x":""}')
    assert table.load('{"a":1,"x":"' + "y" * (4_194_304 - frame) + '"}') == [(1,)]
    reason = table.fails('{"a":1,"x":"' + "y" * (4_194_304 - frame + 1) + '"}')
    assert reason == "Maximum size of a JSON object exceeds the max size of 4194304 bytes"


def test_a_pipe_counts_twice(table: Any) -> None:
    """dg:copy-parameters-data-format: pipe characters are counted twice in the size of a row."""
    table.create("a integer")
    frame = len('{"a":1,"x":""}')
    half = (4_194_304 - frame) // 2
    assert table.load('{"a":1,"x":"' + "|" * half + '"}') == [(1,)]
    assert "a pipe character counts twice" in table.fails('{"a":1,"x":"' + "|" * (half + 1) + '"}')


def test_errors_up_to_maxerror(table: Any) -> None:
    """dg:copy-parameters-data-load, MAXERROR: it fails when the count is reached; below it the other rows are loaded."""
    text = '{"a":1}\n{"a":"x"}\n{"a":\n"y"}\n{"a":4}'
    table.create("a integer")
    for most in (0, 1, 2):
        table.refused(table.sql(text, f"FORMAT AS JSON 'auto' MAXERROR {most}"))
        assert len(table.reasons()) == max(1, most)
        assert table.run("SELECT * FROM t") == []
    assert table.load(text, "FORMAT AS JSON 'auto' MAXERROR AS 3") == [(1,), (4,)]
    assert table.run(
        "SELECT line_number, trim(colname), trim(raw_field_value) FROM stl_load_errors WHERE query = pg_last_copy_id() ORDER BY 1"
    ) == [(2, "a", "x"), (4, "a", "y")]


def test_junk_between_objects_counts_each_time(table: Any) -> None:
    """dg:copy-parameters-data-format: an error for each instance, and reading goes on."""
    text = '{"a":1}, {"a":2}; {"a":3}\n{"a":\n{"a":5}'
    assert table.create("a integer").load(text, "FORMAT AS JSON 'auto' IGNOREALLERRORS") == [(1,), (2,), (3,), (5,)]
    assert len(table.reasons()) == 3


def test_ignoreheader_counts_lines(table: Any) -> None:
    """dg:copy-parameters-data-format: newline characters are counted for IGNOREHEADER."""
    assert table.create("a integer").load('{"a":1}\n{"a":\n2}\n{"a":3}', "FORMAT AS JSON 'auto' IGNOREHEADER 3") == [
        (3,)
    ]


def test_noload_reads_and_loads_nothing(table: Any) -> None:
    """dg:copy-parameters-data-load, NOLOAD: the files are checked."""
    table.create("a integer")
    assert table.load('{"a":1}', "FORMAT AS JSON 'auto' NOLOAD") == []
    assert table.fails('{"a":"x"}', "FORMAT AS JSON 'auto' NOLOAD").startswith("Invalid digit")


def test_columns_of_the_list(table: Any) -> None:
    """dg:copy-parameters-column-mapping."""
    table.create("a integer, b integer")
    assert table.refused(table.sql("{}", target="t (a, zz)"))["C"] == "42703"
    assert table.refused(table.sql("{}", target="t (a, A)"))["C"] == "42701"
    assert table.refused(table.sql("{}", target="nowhere"))["C"] == "42P01"


def test_identity_columns(table: Any) -> None:
    """dg:copy-parameters-data-conversion, EXPLICIT_IDS."""
    table.create("id bigint identity(5, 5), a integer")
    assert table.load('{"a":1}{"a":2,"id":9}') == [(5, 1), (10, 2)]
    assert "EXPLICIT_IDS" in table.refused(table.sql('{"a":1}', target="t (id, a)"))["M"]
    table.run("DELETE FROM t")
    assert table.load('{"a":1,"id":9}', "FORMAT AS JSON 'auto' EXPLICIT_IDS", "t (id, a)") == [(9, 1)]
