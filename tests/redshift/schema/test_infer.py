"""Types of columns from records: the smallest without loss, in any order and any parts."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import uuid
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError, NotAnObjectError, RecordError
from beam_s3box.records.encoding import encode_record
from beam_s3box.redshift import Column, Inference, create_table_sql, infer_columns, mapping_of
from beam_s3box.redshift.sql.types import parse_type

D = decimal.Decimal


def type_of(*values: Any) -> str:
    return infer_columns([{"x": value} for value in values])[0].type


@pytest.mark.parametrize(
    ("values", "type"),
    [
        ([1, -2, None], "BIGINT"),
        ([2**63 - 1, -(2**63)], "BIGINT"),
        ([2**63], "DECIMAL(38, 0)"),
        ([-(2**63) - 1, 5], "DECIMAL(38, 0)"),
        ([10**38 - 1, -(10**38) + 1], "DECIMAL(38, 0)"),
        ([10**38], "VARCHAR(256)"),
        ([1.5, None], "DOUBLE PRECISION"),
        ([1, 2.5, 10**15 - 1], "DOUBLE PRECISION"),
        ([10**15, 2.5], "VARCHAR(256)"),
        ([True, False], "BOOLEAN"),
        (["a", None], "VARCHAR(256)"),
        ([""], "VARCHAR(256)"),
        (["007", "12"], "VARCHAR(256)"),
        (["a" * 128], "VARCHAR(256)"),
        (["a" * 129], "VARCHAR(1024)"),
        (["é" * 64], "VARCHAR(256)"),
        (["é" * 65], "VARCHAR(1024)"),
        (["a" * 8192], "VARCHAR(16384)"),
        (["a" * 8193], "VARCHAR(65535)"),
        (["a" * 70_000], "VARCHAR(65535)"),
        (["2026-02-28", "2024-02-29", None], "DATE"),
        (["2026-02-30"], "VARCHAR(256)"),
        (["2026-02-28", "soon"], "VARCHAR(256)"),
        (["soon", "2026-02-28"], "VARCHAR(256)"),
        (["2026-02-28", ""], "VARCHAR(256)"),
        (["20260228"], "VARCHAR(256)"),
        (["2026-02-28T01:02:03Z", "2026-02-28 01:02:03.123456+05:30"], "TIMESTAMPTZ"),
        (["2026-02-28T01:02:03", "2026-02-28 01:02:03.1"], "TIMESTAMP"),
        (["2026-02-28T01:02:03", "2026-02-28T01:02:03Z"], "VARCHAR(256)"),
        (["2026-02-28", "2026-02-28T01:02:03Z"], "VARCHAR(256)"),
        (["2026-02-28T01:02:03.1234567Z"], "VARCHAR(256)"),
        (["2026-02-28T25:02:03Z"], "VARCHAR(256)"),
        (["2026-02-28T01:02:03+25:00"], "VARCHAR(256)"),
        (["2026-02-28T01:02Z"], "VARCHAR(256)"),
        (["２０２６-02-28"], "VARCHAR(256)"),
        ([{"a": 1}], "SUPER"),
        ([[]], "SUPER"),
        ([(1, 2)], "SUPER"),
        ([{"a": 1}, "text"], "SUPER"),
        ([1, "text"], "SUPER"),
        ([1, "2026-02-28"], "SUPER"),
        ([True, 1], "SUPER"),
        ([True, "x"], "SUPER"),
        ([True, D(1)], "SUPER"),
        ([None], "VARCHAR(256)"),
        ([float("nan"), None], "VARCHAR(256)"),
        ([float("inf"), 1.5], "DOUBLE PRECISION"),
        ([D("12.50"), D("-0.001")], "DECIMAL(38, 4)"),
        ([D("0.12345")], "DECIMAL(38, 10)"),
        ([D("1E+5"), 7], "DECIMAL(38, 4)"),
        ([D(10) ** 30 + D("0.5")], "DECIMAL(38, 4)"),
        ([D("1" * 36 + ".55")], "DECIMAL(38, 2)"),
        ([D("1" * 37 + ".55")], "VARCHAR(256)"),
        ([D("0." + "0" * 36 + "1")], "DECIMAL(38, 37)"),
        ([D("0." + "0" * 37 + "1")], "VARCHAR(256)"),
        ([D("1.5"), 2.5], "VARCHAR(256)"),
        ([D("1.5"), "n/a"], "VARCHAR(256)"),
        ([D("NaN"), 1], "BIGINT"),
        ([datetime.datetime(2026, 2, 28, 1, 2, 3, 4)], "TIMESTAMPTZ"),
        ([datetime.date(2026, 2, 28)], "DATE"),
        ([datetime.time(1, 2)], "VARCHAR(256)"),
        ([uuid.UUID(int=7), b"bytes"], "VARCHAR(256)"),
        ([enum.Enum("Color", "RED").RED], "BIGINT"),  # type: ignore[attr-defined]
    ],
)
def test_types(values: list[Any], type: str) -> None:
    assert type_of(*values) == type
    assert type_of(*reversed(values)) == type


def test_a_number_that_no_float_holds_is_kept_as_text() -> None:
    columns = infer_columns(['{"x":1e400,"y":1.5}', '{"x":1,"y":2}'])
    assert [column.type for column in columns] == ["VARCHAR(1024)", "DOUBLE PRECISION"]


class Row(NamedTuple):
    id: int
    name: str


@dataclasses.dataclass
class Data:
    id: int


@pytest.mark.parametrize("digits", [302, 5_000])
def test_fractions_are_measured_as_they_are_written(digits: int) -> None:
    lines = [f'{{"x":0.{"1" * digits}}}', '{"x":12345678901234567}']
    size = next(step for step in (1_024, 16_384) if step >= 2 * (digits + 2))
    for order in (lines, lines[::-1]):
        assert infer_columns(order) == [Column("x", f"VARCHAR({size})", "x", f"VARCHAR({digits + 2})")]
    assert infer_columns(lines[:1])[0].type == "DOUBLE PRECISION"


def test_whole_numbers_have_any_number_of_digits() -> None:
    lines = [f'{{"x":{"1" * 5_000}}}', f'{{"x":-{"2" * 5_000}, "y":[{"3" * 9_000}]}}']
    assert [(column.name, column.type, column.min_type) for column in infer_columns(lines)] == [
        ("x", "VARCHAR(16384)", "VARCHAR(5001)"),
        ("y", "SUPER", "SUPER"),
    ]


def test_every_kind_of_record_is_read() -> None:
    columns = infer_columns([{"id": 1}, Row(2, "a"), Data(3), '{"at":"2026-01-01"}', b'{"tags":[]}'])
    assert [(column.name, column.type) for column in columns] == [
        ("id", "BIGINT"),
        ("name", "VARCHAR(256)"),
        ("at", "DATE"),
        ("tags", "SUPER"),
    ]
    assert [column.name for column in infer_columns([{1: "x", None: 2}])] == ["1", "null"]


@pytest.mark.parametrize("record", ["[1]", b"7", "{", '{"a":NaN}', 7, None, [1], '{"a":"\\ud800"}', b'{"a":"\xff"}'])
def test_what_is_no_record_is_refused(record: Any) -> None:
    with pytest.raises(RecordError):
        infer_columns([{"a": 1}, record])


def test_no_records_have_no_columns() -> None:
    for records in ("", "{}"):
        with pytest.raises(ConfigurationError, match="no keys"):
            infer_columns([records] if records else [])


def test_names_are_folded_and_keys_kept() -> None:
    columns = infer_columns([{"OrderId": 1, "user": "x", "Straße": 2}])
    assert [(column.name, column.key) for column in columns] == [
        ("orderid", "OrderId"),
        ("user", "user"),
        ("straße", "Straße"),
    ]
    assert mapping_of(columns) == "auto ignorecase"
    assert '"user" VARCHAR(256)' in create_table_sql("t", columns)


def test_keys_that_differ_in_case_are_an_error_with_a_way_out() -> None:
    records: list[dict[str, Any]] = [{"id": 1}, {"Id": "x"}]
    with pytest.raises(
        ConfigurationError, match=r"'Id' in some and 'id' in others.*--redshift_ignore_case.*'auto ignorecase'"
    ):
        infer_columns(records)
    columns = infer_columns(records, ignore_case=True)
    assert [(column.name, column.type, mapping_of([column])) for column in columns] == [
        ("id", "SUPER", "auto ignorecase")
    ]
    assert infer_columns(records, exclude=["Id"])[0].type == "BIGINT"


@pytest.mark.parametrize("ignore_case", [False, True])
def test_one_record_with_both_is_an_error_in_any_case(ignore_case: bool) -> None:
    records: list[dict[str, Any]] = [{"id": 1, "b": 2}, {"b": 1, "Id": "x", "id": 2}]
    with pytest.raises(ConfigurationError, match=r"one with both 'Id' and 'id'.*rename one"):
        infer_columns(records, ignore_case=ignore_case)
    records.append({"Id": 1, "id": 2, "Other": 3})
    assert len(infer_columns(records, ignore_case=ignore_case, exclude=["Id"])) == 3


def test_other_letters_are_not_folded() -> None:
    assert [column.name for column in infer_columns([{"É": 1, "é": 2}])] == ["É", "é"]


@pytest.mark.parametrize("key", ["", "a\0b", "x" * 128, "é" * 64])
def test_a_key_that_can_be_no_name_is_an_error_with_a_way_out(key: str) -> None:
    with pytest.raises(ConfigurationError, match=r"can't be a column's name.*--redshift_exclude"):
        infer_columns([{"id": 1, key: 2}])
    assert len(infer_columns([{"id": 1, key: 2}], exclude=[key])) == 1


def test_at_most_1600_columns() -> None:
    assert len(infer_columns([{f"k{i}": i for i in range(1600)}])) == 1600
    with pytest.raises(ConfigurationError, match=r"more than 1600 keys.*SUPER column with mapping='noshred'"):
        infer_columns([{f"k{i}": i} for i in range(1601)])
    both = [{f"k{i}": i for i in range(1000)}, {f"K{i}": i for i in range(1000)}]
    assert len(infer_columns(both, ignore_case=True)) == 1000


def test_a_sample_looks_no_further() -> None:
    def records() -> Any:
        yield from ({"a": i} for i in range(10))
        raise AssertionError("looked further")

    assert infer_columns(records(), sample=10) == [Column("a", "BIGINT", min_type="SMALLINT")]


@pytest.mark.parametrize(("name", "value"), [("sample", 0), ("sample", True), ("threads", 0), ("exclude", "id")])
def test_arguments_that_cannot_work_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        infer_columns([{"a": 1}], **{name: value})


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.integers(-5, 5)
    | st.floats()
    | st.decimals(allow_nan=True, places=3)
    | st.sampled_from(["", "x", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01T00:00:00Z", "é" * 300, "9" * 9000])
    | st.sampled_from([[], {}, {"a": [1]}])
)
RECORDS = st.lists(st.dictionaries(st.sampled_from(["a", "A", "b", "c"]), SCALARS, max_size=4), max_size=8)


def seen(*parts: list[dict[str, Any]], ignore_case: bool = True) -> Inference:
    whole = Inference(ignore_case=ignore_case)
    for part in parts:
        for record in part:
            whole.add(record)
    return whole


def outcome(inference: Inference, *, in_order: bool = True) -> Any:
    try:
        columns = inference.columns()
    except ConfigurationError as exc:
        return str(exc)
    return columns if in_order else sorted(columns, key=lambda column: column.name)


def merged(*parts: Inference) -> Inference:
    first, *others = parts
    for other in others:
        first.merge(other)
    return first


@given(RECORDS, RECORDS, RECORDS, st.booleans())
def test_parts_merge_to_the_same_however_they_are_grouped(one: Any, two: Any, three: Any, ignore_case: bool) -> None:
    def part(records: Any) -> Inference:
        return seen(records, ignore_case=ignore_case)

    whole = outcome(seen(one, two, three, ignore_case=ignore_case))
    assert outcome(merged(merged(part(one), part(two)), part(three))) == whole
    assert outcome(merged(part(one), merged(part(two), part(three)))) == whole


@given(RECORDS, RECORDS, st.booleans())
def test_parts_merge_to_the_same_in_any_order(one: Any, two: Any, ignore_case: bool) -> None:
    parts = [seen(records, ignore_case=ignore_case) for records in (one, two, two, one)]
    assert outcome(merged(*parts[:2]), in_order=False) == outcome(merged(*parts[2:]), in_order=False)


@given(st.lists(SCALARS, min_size=1, max_size=6))
@example([10**15, 0.0])
def test_a_type_holds_what_was_needed(values: list[Any]) -> None:
    column = infer_columns([{"a": value} for value in values])[0]
    assert column.fits(column.sql_type)
    assert column.fits(parse_type("SUPER"))
    for value in values:
        assert infer_columns([{"a": value}])[0].fits(column.sql_type) or column.type.startswith("VARCHAR")


@given(RECORDS)
def test_records_and_their_lines_have_the_same_columns(records: list[dict[str, Any]]) -> None:
    plain = [msgspec.json.decode(encode_record(record)) for record in records]  # Decimals are texts in JSON
    lines = [json.dumps(record, ensure_ascii=False) for record in plain]
    assert outcome(seen(plain)) == outcome(seen(lines))  # type: ignore[arg-type]


def test_a_refused_line_tells_what_it_is() -> None:
    with pytest.raises(NotAnObjectError, match="set is not a record"):
        infer_columns([{1, 2}])
