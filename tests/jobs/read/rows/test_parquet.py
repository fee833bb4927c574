"""Parquet, row by row against Arrow's own values: all types, encodings, codecs, pages and row groups."""

from __future__ import annotations

import base64
import datetime
import decimal
import io
import itertools
import json
import pathlib
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.read.parquet.reader import read_parquet, split_parquet
from beam_s3box.jobs.read.parquet.values import values_of
from beam_s3box.jobs.read.row_batches import ReadColumns, as_lines
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.column_batch import ColumnBatch
from beam_s3box.records.encoding import encode_record
from beam_s3box.records.unfit import Unfit


class Bytes(io.BytesIO):
    """A file in memory that knows its size."""

    @property
    def size(self) -> int:
        return len(self.getvalue())


def file_of(table: Any, **options: Any) -> Bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return Bytes(buffer.getvalue())


def rows_of(read: Iterable[ReadColumns]) -> Iterator[tuple[int, Any]]:
    for some in as_lines(read):
        if isinstance(some, LineBatch):
            yield from zip(some.numbers, map(json.loads, some.lines), strict=True)
        else:
            yield some.line, some


UTC = datetime.UTC
MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5, 678_901)
TYPES: dict[str, Any] = {
    "bool": pa.array([True, None, False]),
    **{f"int{bits}": pa.array([-1, None, 2 ** (bits - 1) - 1], f"int{bits}") for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": pa.array([0, None, 2**bits - 1], f"uint{bits}") for bits in (8, 16, 32, 64)},
    "float": pa.array([0.5, None, -1e30], "float32"),
    "double": pa.array([0.1, None, 1e300]),
    "half": pa.array([0.5, None, 2.0], "float16"),
    "text": pa.array(["ä", None, ""]),
    "large_text": pa.array(["ä", None, ""], pa.large_string()),
    "text_view": pa.array(["ä", None, "longer than twelve bytes"], pa.string_view()),
    "bytes": pa.array([b"\x00\xff", None, b""]),
    "fixed": pa.array([b"ab", None, b"\x00\x01"], pa.binary(2)),
    "dictionary": pa.array(["a", None, "a"]).dictionary_encode(),
    "decimal": pa.array([decimal.Decimal("1.50"), None, decimal.Decimal("0.00")], pa.decimal128(20, 2)),
    "decimal256": pa.array([decimal.Decimal(10**60), None, decimal.Decimal(-1)], pa.decimal256(70, 0)),
    "date": pa.array([datetime.date(1, 1, 1), None, datetime.date(9999, 12, 31)]),
    "date64": pa.array([datetime.date(1969, 12, 31), None, datetime.date(2026, 1, 1)], pa.date64()),
    **{f"time_{unit}": pa.array([datetime.time(1, 2, 3), None, datetime.time(0)], pa.time32(unit)) for unit in ("s", "ms")},
    "time_us": pa.array([datetime.time(23, 59, 59, 999_999), None, datetime.time(0)], pa.time64("us")),
    **{f"timestamp_{unit}": pa.array([MOMENT.replace(microsecond=0), None, datetime.datetime(1969, 12, 31)], pa.timestamp(unit)) for unit in ("s", "ms", "us")},
    "zoned": pa.array([MOMENT.replace(tzinfo=UTC), None, MOMENT.replace(tzinfo=UTC)], pa.timestamp("us", "Europe/Vienna")),
    "duration": pa.array([datetime.timedelta(1, 2, 3), None, -datetime.timedelta(1)], pa.duration("us")),
    "list": pa.array([[1, None], None, []], pa.list_(pa.int64())),
    "large_list": pa.array([["a"], None, []], pa.large_list(pa.string())),
    "fixed_list": pa.array([[1, 2], [None, 0], [3, 4]], pa.list_(pa.int64(), 2)),
    "deep": pa.array([[[{"a": [MOMENT]}], None], None, []], pa.list_(pa.list_(pa.struct({"a": pa.list_(pa.timestamp("us"))})))),
    "struct": pa.array([{"a": 1, "b": {"c": MOMENT.date()}}, None, {"a": None, "b": None}]),
    "null": pa.nulls(3),
    "uuid": pa.array([uuid.UUID(int=1).bytes, None, uuid.UUID(int=2).bytes], pa.uuid()),
}  # fmt: skip
MAPS: dict[str, tuple[list[Any], Any, list[Any]]] = {
    "map": ([[("a", 1), ("b", None)], None, []], pa.map_(pa.string(), pa.int64()), [{"a": 1, "b": None}, None, {}]),
    "map_of_lists": ([[("a", [1])], None, []], pa.map_(pa.string(), pa.list_(pa.int64())), [{"a": [1]}, None, {}]),
    "map_of_ids": ([[(1, "x")], None, []], pa.map_(pa.int32(), pa.string()), [[[1, "x"]], None, []]),
}


def expected_of(array: Any) -> list[Any]:
    """Return what the write makes of Arrow's own Python values."""
    return [json.loads(encode_record({"v": value}))["v"] for value in array.to_pylist()]


def test_every_type_is_as_arrow_reads_it() -> None:
    table = pa.table(TYPES)
    rows = [row for _, row in rows_of(read_parquet(file_of(table), "f"))]
    for name in table.column_names:
        assert [row[name] for row in rows] == expected_of(table[name]), name


@pytest.mark.parametrize("name", TYPES)
def test_every_part_of_an_array_is_read_as_such(name: str) -> None:
    array = pa.concat_arrays([TYPES[name]] * 3)
    for start, length in ((0, 0), (1, 4), (4, 5)):
        part = array.slice(start, length)
        values = [json.loads(encode_record({"v": value}))["v"] for value in values_of(part, name)]
        assert values == expected_of(part)


@pytest.mark.parametrize("name", MAPS)
def test_maps_are_objects_where_keys_are_text(name: str) -> None:
    values, kind, expected = MAPS[name]
    table = pa.table({"v": pa.array(values * 3, kind)})
    rows = [row["v"] for _, row in rows_of(read_parquet(file_of(table, row_group_size=4), "f"))]
    assert rows == expected * 3
    assert values_of(table["v"].chunk(0).slice(2, 4), "v") == (expected * 3)[2:6]


def test_a_map_with_a_key_twice_is_unfit() -> None:
    (value,) = values_of(pa.array([[("a", 1), ("a", 2)]], pa.map_(pa.string(), pa.int64())), "m")
    assert isinstance(value, Unfit)


def test_another_reader_finds_the_same(tmp_path: pathlib.Path) -> None:
    """DuckDB shares no code with Arrow."""
    unlike = {"half", "fixed_list", "null", "decimal256", "duration", "time_s", "zoned", "uuid"}
    table = pa.table({name: array for name, array in TYPES.items() if name not in unlike})
    path = tmp_path / "a.parquet"
    pq.write_table(table, path)
    found: Any = duckdb.sql(f"SELECT * FROM read_parquet('{path}')")
    theirs = [json.loads(encode_record(dict(zip(found.columns, row, strict=True)))) for row in found.fetchall()]
    ours = [row for _, row in rows_of(read_parquet(Bytes(path.read_bytes()), "f"))]
    for name in table.column_names:
        assert [row[name] for row in ours] == [row[name] for row in theirs], name


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "brotli", "zstd", "lz4"])
@pytest.mark.parametrize("version", ["1.0", "2.6"])
@pytest.mark.parametrize("pages", ["1.0", "2.0"])
def test_codecs_versions_and_pages(codec: str, version: Any, pages: Any) -> None:
    table = pa.table({"i": list(range(3_000)), "t": [f"text {i % 7}" for i in range(3_000)]})
    file = file_of(
        table, compression=codec, version=version, data_page_version=pages, data_page_size=500, row_group_size=700
    )
    assert list(rows_of(read_parquet(file, "f"))) == list(enumerate(table.to_pylist(), 1))


@pytest.mark.parametrize(
    ("encoding", "values"),
    [
        ("DELTA_BINARY_PACKED", [1, -5, 2**40]),
        ("BYTE_STREAM_SPLIT", [0.5, 1.5, -2.0]),
        ("DELTA_BYTE_ARRAY", ["aa", "ab", "b"]),
        ("DELTA_LENGTH_BYTE_ARRAY", ["aa", "", "b"]),
        ("PLAIN", ["aa", "", "b"]),
    ],
)
def test_encodings(encoding: str, values: list[Any]) -> None:
    file = file_of(pa.table({"v": values}), use_dictionary=False, column_encoding={"v": encoding})
    assert [row["v"] for _, row in rows_of(read_parquet(file, "f"))] == values


def test_row_groups_are_shared_and_keep_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beam_s3box.jobs.read.parquet.reader.SPLIT_BYTES", 1_500)
    table = pa.table({"i": list(range(1_000))})
    file = file_of(table, row_group_size=100)
    parts = list(split_parquet(file, "f"))
    assert len(parts) > 3
    rows = [row for part in parts for row in rows_of(read_parquet(file, "f", *part))]
    assert rows == [(number, {"i": number - 1}) for number in range(1, 1_001)]


def test_large_rows_are_read_few_at_a_time() -> None:
    text = base64.b64encode(bytes(600_000)).decode()
    table = pa.table({"i": list(range(40)), "t": [f"{i}{text}" for i in range(40)]})
    batches = list(read_parquet(file_of(table, compression="none", use_dictionary=False), "f"))
    assert max(len(batch) for batch in batches if isinstance(batch, ColumnBatch)) <= 10
    assert [row["i"] for _, row in rows_of(batches)] == list(range(40))


@pytest.mark.parametrize("around", [pa.list_, pa.large_list, lambda kind: pa.map_(pa.string(), pa.list_(kind))])
def test_names_within_a_struct_are_checked(around: Any) -> None:
    kind = around(pa.struct([pa.field("a", pa.int64()), pa.field("a", pa.int64())]))
    with pytest.raises(ConfigurationError, match=r"'f' has more than one column of the name 's\.a'"):
        list(read_parquet(file_of(pa.table({"s": pa.array([[]], kind)})), "f"))


@pytest.mark.parametrize("given", [0, 50, 120])
def test_rows_that_are_not_there_are_an_error(given: int) -> None:
    """A count of the footer is replaced in its bytes, at each place or at some: no file is read with fewer rows in silence."""
    table = pa.table({"i": pa.array(range(100), pa.int64())})
    body = file_of(table, compression="none", use_dictionary=False, write_statistics=False).getvalue()
    count, wrong = b"\xc8\x01", {0: b"\x80\x00", 50: b"\xe4\x00", 120: b"\xf0\x01"}[given]  # zigzag, as varints
    places = [at for at in range(len(body)) if body[at : at + 2] == count]
    refused = 0
    for chosen in itertools.product([False, True], repeat=len(places)):
        damaged = bytearray(body)
        for at in itertools.compress(places, chosen):
            damaged[at : at + 2] = wrong
        try:
            rows = list(rows_of(read_parquet(Bytes(bytes(damaged)), "f.parquet")))
        except ConfigurationError:
            refused += 1
        else:
            footer = pq.ParquetFile(Bytes(bytes(damaged))).metadata
            assert len(rows) == footer.row_group(0).num_rows >= footer.num_rows
    assert refused >= len(places)


VIEWS: dict[str, Any] = {
    "texts": pa.array(["a", None, "longer than twelve bytes"], pa.string_view()),
    "bytes": pa.array([b"a", None, b"longer than twelve bytes"], pa.binary_view()),
    "list": pa.array([["a"], None, []], pa.list_(pa.string_view())),
    "large_list": pa.array([["a"], None, []], pa.large_list(pa.binary_view())),
    "fixed_list": pa.array([["a"], [None], ["b"]], pa.list_(pa.string_view(), 1)),
    "struct": pa.array([{"a": {"b": "c"}}, None, {"a": None}], pa.struct({"a": pa.struct({"b": pa.string_view()})})),
    "map": pa.array([[("a", "b")], None, []], pa.map_(pa.string_view(), pa.string_view())),
    "json": pa.ExtensionArray.from_storage(pa.json_(pa.string_view()), pa.array(["1", None, "2"], pa.string_view())),
}  # fmt: skip


@pytest.mark.parametrize("name", VIEWS)
def test_rows_are_taken_out_of_views(name: str) -> None:
    """As where a batch has several streams: Arrow can't do so itself."""
    file = file_of(pa.table({"v": VIEWS[name]}))
    whole = [row for _, row in rows_of(read_parquet(file, "f", by_columns=False))]
    assert len(whole) == 3
    assert whole[0]["v"] is not None
    (batch,) = read_parquet(file, "f")
    assert isinstance(batch, ColumnBatch)
    assert [row for _, row in rows_of([batch.part(np.array([0, 2]))])] == [whole[0], whole[2]]


def test_a_view_of_invalid_text_makes_its_row_a_dead_letter() -> None:
    array = pa.array([b"\xff", b"ok"], pa.binary_view()).view(pa.string_view())
    (_, rejected), (number, row) = sorted(rows_of(read_parquet(file_of(pa.table({"v": array})), "f")))
    assert (rejected.reason, rejected.line, number, row) == ("invalid-utf8", 1, 2, {"v": "ok"})


def test_rows_without_columns_are_empty_objects() -> None:
    """fastparquet writes such a file; Arrow writes one without rows."""
    footer = b"\x15\x02\x19\x1c\x48\x06schema\x15\0\0\x16\x04\x19\x1c\x19\x0c\x16\0\x16\x04\0\0"
    file = Bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    assert list(rows_of(read_parquet(file, "f"))) == [(1, {}), (2, {})]


def test_a_file_cut_anywhere_is_an_error_with_its_name() -> None:
    whole = file_of(pa.table({"i": [1, 2], "t": ["a", "b"]})).getvalue()
    for end in range(len(whole)):
        with pytest.raises(ConfigurationError, match=r"'f\.parquet'"):
            list(read_parquet(Bytes(whole[:end]), "f.parquet"))
