"""By columns and row by row: the same lines, numbers, streams and dead letters, for any file."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import math
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.read.csv.dialect import CsvDialect
from beam_s3box.jobs.read.csv.reader import read_csv
from beam_s3box.jobs.read.parquet.reader import read_parquet
from beam_s3box.jobs.read.row_batches import ReadColumns, as_lines
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.column_batch import ColumnBatch
from beam_s3box.records.column_times import split_columns
from beam_s3box.records.encoding import record_rules
from beam_s3box.records.event_times import EventTimes
from beam_s3box.records.path_columns import with_columns
from beam_s3box.records.rejected_lines import RejectedLines
from beam_s3box.records.rejected_rows import RejectedRow
from beam_s3box.records.routing import Router
from beam_s3box.records.selector import StreamSelector

LIMIT = 2_000
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", "a", "b", '"', "\\", "\0", "\x1f\x7f", "\u2028", "a\nb", "\r\n", "ü" * 40, "NaN", "null"]
)


class Bytes(io.BytesIO):
    """A file in memory that knows its size."""

    @property
    def size(self) -> int:
        return len(self.getvalue())


def rows_of(read: Iterable[ReadColumns]) -> tuple[list[tuple[int, bytes]], list[RejectedRow]]:
    """Return lines with their numbers, and rejected rows."""
    lines: list[tuple[int, bytes]] = []
    rejected: list[RejectedRow] = []
    for some in as_lines(read):
        if isinstance(some, LineBatch):
            lines += zip(some.numbers, some.lines, strict=True)
        else:
            assert isinstance(some, RejectedRow)
            rejected.append(some)
    return sorted(lines), sorted(rejected, key=lambda row: row.line)


def scalars() -> st.SearchStrategy[tuple[Any, st.SearchStrategy[Any]]]:
    """Return types of Arrow with values that are stored as such."""
    choices: list[tuple[Any, st.SearchStrategy[Any]]] = [
        (pa.null(), st.none()),
        (pa.bool_(), st.booleans()),
        (pa.string(), TEXTS),
        (pa.large_string(), TEXTS),
        (pa.string_view(), TEXTS),
        (pa.dictionary(pa.int8(), pa.string()), TEXTS),
        (pa.binary(), st.binary(max_size=4)),
        (pa.binary(2), st.binary(min_size=2, max_size=2)),
        (pa.float64(), st.floats()),
        (pa.float32(), st.floats(width=32)),
        (pa.float16(), st.floats(width=16)),
        (pa.date32(), st.integers(-(2**31), 2**31 - 1) | st.dates()),
        (pa.date64(), st.dates()),
        (pa.decimal128(30, 12), st.decimals("-1e17", "1e17", places=12)),
        (pa.decimal128(10, 0), st.integers(-(10**9), 10**9).map(decimal.Decimal)),
        (pa.decimal256(60, 30), st.decimals("-1e29", "1e29", places=30)),
    ]
    for bits in (8, 16, 32, 64):
        choices.append((getattr(pa, f"int{bits}")(), st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)))
        choices.append((getattr(pa, f"uint{bits}")(), st.integers(0, 2**bits - 1)))
    counts = (
        st.integers(-(2**62), 2**62) | st.integers(-(10**12), 10**12) | st.integers(0, 10**6).map(lambda n: n * 10**9)
    )
    for unit in ("s", "ms", "us", "ns"):
        choices += [
            (pa.timestamp(unit), counts),
            (pa.timestamp(unit, "Europe/Vienna"), counts),
            (pa.duration(unit), counts),
        ]
    choices.append((pa.time32("ms"), st.integers(-10, 90_000_000)))
    choices += [
        (pa.time64(unit), st.integers(0, 86_400_000_000 * (1_000 if unit == "ns" else 1))) for unit in ("us", "ns")
    ]
    return st.sampled_from(choices)


def nested(inner: Any) -> Any:
    @st.composite
    def lists(draw: st.DrawFn) -> tuple[Any, st.SearchStrategy[Any]]:
        kind, values = draw(inner)
        made = draw(st.sampled_from([pa.list_, pa.large_list]))
        return made(kind), st.lists(st.none() | values, max_size=3)

    @st.composite
    def structs(draw: st.DrawFn) -> tuple[Any, st.SearchStrategy[Any]]:
        names = draw(st.lists(st.sampled_from(["a", "b", 'q"', "ü"]), unique=True, max_size=3))
        kinds = {name: draw(inner) for name in names}
        kind = pa.struct([pa.field(name, some) for name, (some, _) in kinds.items()])
        return kind, st.fixed_dictionaries({name: st.none() | values for name, (_, values) in kinds.items()})

    @st.composite
    def maps(draw: st.DrawFn) -> tuple[Any, st.SearchStrategy[Any]]:
        kind, values = draw(inner)
        return pa.map_(pa.string(), kind), st.lists(st.tuples(TEXTS, st.none() | values), max_size=3)

    return lists() | structs() | maps()


@st.composite
def tables(draw: st.DrawFn) -> Any:
    """Return tables of Arrow."""
    rows = draw(st.integers(0, 6))
    names = draw(
        st.lists(st.sampled_from(["d", "n", "x", 'say "y"', "ü", "a.b", ""]), unique=True, min_size=1, max_size=4)
    )
    columns = {}
    for name in names:
        kind, values = draw(st.recursive(scalars(), nested, max_leaves=3))
        given = draw(st.lists(values if draw(st.booleans()) else st.none() | values, min_size=rows, max_size=rows))
        columns[name] = array_of(given, kind)
    return pa.table(columns)


def array_of(values: list[Any], kind: Any) -> Any:
    """Return an array; counts that are no moments of Python's as well."""
    if pa.types.is_temporal(kind) and all(value is None or isinstance(value, int) for value in values):
        return pa.array(values, pa.int32() if kind.bit_width == 32 else pa.int64()).cast(kind)
    try:
        return pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError, OverflowError):
        return pa.nulls(len(values), kind if not pa.types.is_nested(kind) else pa.string())


@given(table=tables())
@settings(max_examples=400, deadline=None)
def test_parquet_is_the_same_by_columns_and_row_by_row(table: Any) -> None:
    buffer = Bytes()
    try:
        pq.write_table(table, buffer, row_group_size=4)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return  # Parquet has no such type
    by_columns = rows_of(read_parquet(Bytes(buffer.getvalue()), "f"))
    one_by_one = rows_of(read_parquet(Bytes(buffer.getvalue()), "f", by_columns=False))
    assert by_columns == one_by_one


def test_most_types_are_written_by_columns() -> None:
    table = pa.table(
        {
            "i": [1, None],
            "t": ["a\n", None],
            "f": [0.1, math.nan],
            "b": [b"a", None],
            "at": [datetime.datetime(2026, 1, 1), None],
            "l": [[{"x": decimal.Decimal("1.5")}], None],
            "m": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
        }
    )
    buffer = Bytes()
    pq.write_table(table, buffer)
    (batch,) = read_parquet(Bytes(buffer.getvalue()), "f")
    assert isinstance(batch, ColumnBatch)


CSV_TEXT = st.text(st.sampled_from('ab01.-e,;"\n\r\t\\ #ü\0') | st.characters(exclude_categories=["Cs"]), max_size=60)


@st.composite
def csv_files(draw: st.DrawFn) -> bytes:
    """Return files of CSV, most of them good for the most part."""
    end = draw(st.sampled_from(["\n", "\r\n"]))
    buffer = io.StringIO(newline="")
    quoting: Any = draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
    writer = csv.writer(buffer, lineterminator=end, quoting=quoting)
    width = draw(st.integers(1, 3))
    writer.writerow(["d", "n", "x"][:width])
    kind = draw(
        st.sampled_from([TEXTS, st.sampled_from(["1", "-0.5", "", "1e+5"]), st.sampled_from(["true", "FALSE", ""])])
    )
    for _ in range(draw(st.integers(0, 8))):
        odd = draw(st.integers(0, 9))
        if odd == 0:
            buffer.write(draw(CSV_TEXT) + end)
        else:
            writer.writerow([draw(kind) for _ in range(width + (odd == 1))])
    text = buffer.getvalue().encode()
    if draw(st.integers(0, 9)) == 0:
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.binary(max_size=2)) + text[place:]
    return text.removesuffix(end.encode()) if draw(st.booleans()) else text


def read_of(data: bytes, block: int, dialect: CsvDialect, *, by_columns: bool) -> Any:
    blocks = iter([data[at : at + block] for at in range(0, len(data), block)])
    try:
        return rows_of(read_csv(blocks, "f.csv", dialect, LIMIT, by_columns=by_columns))
    except ConfigurationError as exc:
        return str(exc)


@given(
    data=csv_files() | CSV_TEXT.map(str.encode),
    block=st.integers(1, 50),
    piece=st.integers(1, 50),
    types=st.sampled_from(["text", "infer"]),
    quote=st.sampled_from(['"', "'", "none"]),
    header=st.sampled_from(["first", "none"]),
)
@example(b'd\n"a\n' + b"b\n" * LIMIT, 50, 20, "text", '"', "first")
@example(b"d\n" + b"a" * (9 * LIMIT) + b"\n", 50, 20, "text", '"', "first")
@example(b'd,n\n"a",""\n1\n2,"x\ny"\n3,4,5\n', 50, 50, "text", '"', "first")
@example(b'd,n\n"a"a,b\n', 50, 50, "text", '"', "first")
@example(b'd,n\na"a",b\n', 50, 50, "text", '"', "first")
@example(b"d,n\n" + b"\xef\xbb\xbfx,y\n" * 9, 50, 14, "text", '"', "first")
@settings(max_examples=600, deadline=None)
def test_csv_is_the_same_by_columns_and_row_by_row(
    data: bytes, block: int, piece: int, types: str, quote: str, header: str
) -> None:
    dialect = CsvDialect(delimiter=",", types=types, quote=quote, header=header, comment="none")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("beam_s3box.jobs.read.csv.parts.PIECE_BYTES", piece)
        by_columns = read_of(data, block, dialect, by_columns=True)
    assert by_columns == read_of(data, block, dialect, by_columns=False)


def column_batch(columns: dict[str, Any]) -> ColumnBatch:
    buffer = Bytes()
    pq.write_table(pa.table(columns), buffer)
    (batch,) = read_parquet(Bytes(buffer.getvalue()), "f")
    assert isinstance(batch, ColumnBatch)
    return batch


KEYS = st.none() | TEXTS
NUMBERS = st.none() | st.integers(-(2**63), 2**63 - 1)
SELECTORS = [
    StreamSelector(domain_field="d", namespace_field="n"),
    StreamSelector(domain="x", namespace_field="n"),
    StreamSelector(domain="x", namespace="y"),
    StreamSelector(domain_field="d", namespace_field="d"),
    StreamSelector(domain_field="d", namespace_field="missing"),
    StreamSelector(domain_field="d", namespace_field="s.t"),
    StreamSelector(stream=lambda fields: ("a", str(fields["d"])[:1])),
]


@given(
    rows=st.lists(st.tuples(KEYS, NUMBERS, TEXTS), min_size=1, max_size=12),
    selector=st.sampled_from(SELECTORS),
    for_redshift=st.booleans(),
    most=st.sampled_from([None, 60]),
)
@settings(max_examples=300, deadline=None)
def test_streams_and_dead_letters_are_the_same(
    rows: list[tuple[Any, Any, Any]], selector: StreamSelector, for_redshift: bool, most: int | None
) -> None:
    keys, numbers, texts = zip(*rows, strict=True)
    structs = pa.array([{"t": text} for text in texts])
    batch = column_batch({"d": pa.array(keys, pa.string()), "n": pa.array(numbers, pa.int64()), "s": structs})
    rules = record_rules(for_redshift=for_redshift, max_record_bytes=most)
    groups, left = Router(selector, rules).route_columns(batch)
    found = {stream: group.text.split(b"\n") for stream, group in groups.items()}
    rejected: list[Any] = []
    for some in () if left is None else left.to_lines():
        more, bad = Router(selector, rules).route_lines(some.lines)
        assert not found.keys() & more.keys() or left is batch
        for stream, lines in more.items():
            found[stream] = found.get(stream, []) + lines
        rejected += bad
    (lines_of_all,) = batch.to_lines()
    expected, wrong = Router(selector, rules).route_lines(lines_of_all.lines)
    assert {stream: sorted(lines) for stream, lines in found.items()} == {
        s: sorted(some) for s, some in expected.items()
    }
    assert sorted(rejected, key=str) == sorted(wrong, key=str)


def test_the_order_within_a_stream_is_kept() -> None:
    batch = column_batch({"d": ["a", "b"] * 4_000, "n": list(range(8_000))})
    selector = StreamSelector(domain_field="d", namespace="y")
    groups, left = Router(selector, record_rules(for_redshift=True)).route_columns(batch)
    assert left is None
    for group in groups.values():
        numbers = [int(line.rpartition(b":")[2][:-1]) for line in group.text.split(b"\n")]
        assert numbers == sorted(numbers)
        assert len(numbers) == 4_000
        assert group.places.tolist() == numbers


@given(
    values=st.lists(st.none() | TEXTS, min_size=1, max_size=5),
    fields=st.dictionaries(st.sampled_from(["v", "dt", 'q"']), st.none() | TEXTS, max_size=3),
)
def test_columns_of_the_path_are_the_same(values: list[Any], fields: dict[str, Any]) -> None:
    batch = column_batch({"v": pa.array(values, pa.string())})
    (expected,) = (with_columns(lines, fields) for lines in batch.to_lines())
    (found,) = batch.with_first(fields).to_lines()
    assert found == expected
    selector = StreamSelector(domain_field="dt", namespace="y")
    rules = record_rules(for_redshift=True)
    if fields.get("dt"):
        groups, left = Router(selector, rules).route_columns(batch.with_first(fields))
        assert [len(group.places) for group in groups.values()] == ([len(values)] if left is None else [])


MOMENTS = st.datetimes() | st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(1970, 1, 3))
TIMES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    *((pa.timestamp(unit), MOMENTS) for unit in ("ms", "us")),
    (pa.timestamp("ns"), st.integers(-(10**18), 10**18)),
    (pa.timestamp("us", "Europe/Vienna"), MOMENTS),
    (pa.date32(), st.dates()),
    (
        pa.int64(),
        st.integers(-(2**63), 2**63 - 1) | st.integers(-10, 10**18) | st.sampled_from([10**11, 10**14, 10**17]),
    ),
    (pa.int32(), st.integers(-10, 2**31 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float64(), st.floats(0, 1e19)),
    (pa.string(), TEXTS | MOMENTS.map(str) | st.integers(0, 10**18).map(str)),
]


@st.composite
def timed(draw: st.DrawFn) -> Any:
    kind, values = draw(st.sampled_from(TIMES))
    return pa.array(draw(st.lists(st.none() | values, min_size=1, max_size=8)), kind)


@given(column=timed(), seconds=st.sampled_from([60, 3_600, 86_400]), repeats=st.sampled_from([1, 300]))
@settings(max_examples=300, deadline=None)
def test_windows_are_the_same(column: Any, seconds: int, repeats: int) -> None:
    batch = column_batch({"at": pa.concat_arrays([column] * repeats), "i": list(range(len(column) * repeats))})
    times = EventTimes("at", seconds)
    expected = windows_of(split for lines in batch.to_lines() for split in times.splitter.split(lines))
    assert windows_of(split_columns(batch, times)) == expected


def windows_of(split: Iterable[tuple[int | None, Any]]) -> Any:
    """Return lines with their numbers by window, and those that are rejected, by reason and detail."""
    found: dict[Any, list[tuple[int, bytes]]] = {}
    for start, some in split:
        if isinstance(some, RejectedLines):
            found.setdefault((some.reason, some.detail), []).extend(
                zip(some.batch.numbers, some.batch.lines, strict=True)
            )
            continue
        for lines in as_lines((some,)):
            assert isinstance(lines, LineBatch)
            found.setdefault(start, []).extend(zip(lines.numbers, lines.lines, strict=True))
    # rejected lines come batch by batch
    return {key: sorted(lines) if isinstance(key, tuple) else lines for key, lines in found.items()}


def test_rows_of_one_window_stay_together() -> None:
    days = [datetime.datetime(2026, 1, 1 + at % 2) for at in range(1_000)]
    batch = column_batch({"at": days, "i": list(range(1_000))})
    split = list(split_columns(batch, EventTimes("at", 86_400)))
    assert [len(rows) for _, rows in split if isinstance(rows, ColumnBatch)] == [500, 500]
