"""From records to rows: what is in the tables is what was in the source, value by value and by SQL's own sums."""

from __future__ import annotations

import datetime
import json
import logging
import math
import pickle
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import apache_beam as beam
import pytest

from beam_s3box import AvroFormat, Manifests, StreamLimits, WriteToS3Box, avro_schema_of
from beam_s3box.redshift import RedshiftConnection, RedshiftLoader
from beam_s3box.redshift.load.settings import LoadSettings
from beam_s3box.redshift.load.table_loads import TableCreation, TableLoads
from beam_s3box.redshift.manifests import StoreReader
from beam_s3box.redshift.sql.copy import CopySettings
from beam_s3box.redshift.sql.target import Target
from tests.redshift.load.conftest import Warehouse, redshift, warehouse
from tests.redshift.load.fakes import table_loads
from tests.transforms.test_copy_to_redshift import Into, into

__all__ = ["into", "redshift", "warehouse"]

LONGEST = 65_535
TEXTS = [
    "plain", "", None, "a|b||c", "back\\slash \\n \\\\", 'double " and single \' quotes', "line\nfeed\r\n\ttab",
    "Zürich – 日本語 – 😀 – \u202e", "x" * LONGEST, "é" * (LONGEST // 2), "|" * 1_000, "\\N", "NULL", "null", "{}", "  blanks  ",
    "'); DROP TABLE wide; --", "\u0001\u001f\u007f",
]  # fmt: skip
NESTED = [None, {"a": [1, 2, {"b": None}], "ü": "x|y"}, [], {}, ["\\", '"', "\n"], [[1.5, True]]]
MOMENT = datetime.datetime(2026, 11, 22, 10, 15, 0, 123_456, tzinfo=datetime.UTC)

Record = dict[str, Any]


def record(number: int) -> Record:
    return {
        "d": f"d{number % 3}",
        "n": "events",
        "i": number,
        "big": (-1) ** number * (2**63 - 1 - number),
        "ratio": number / 7,
        "is_odd": bool(number % 2) if number % 5 else None,
        "day": (MOMENT + datetime.timedelta(days=number)).date(),
        "at": MOMENT + datetime.timedelta(seconds=number) if number % 4 else None,
        "price": Decimal(number) / 100,
        "text": TEXTS[number % len(TEXTS)],
        "nested": NESTED[number % len(NESTED)],
        "order": f"reserved {number}",
    }


RECORDS = [record(number) for number in range(54)]


def write(warehouse: Warehouse, **arguments: Any) -> WriteToS3Box:
    return WriteToS3Box(
        f"{warehouse.store.root}/end-to-end",
        domain_field="d",
        namespace_field="n",
        s3=warehouse.settings,
        limits=StreamLimits(max_records=7),
        **arguments,
    )


class Written(beam.PTransform):
    def __init__(self, write: WriteToS3Box, records: list[Record]) -> None:
        super().__init__()
        self._write = write
        self._records = records

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        return (begin | beam.Create(self._records) | self._write).manifests


QUERY = (
    'SELECT d, COUNT(*), SUM(i), SUM(big), SUM(ratio), COUNT(is_odd), MIN(day), MAX("at"), SUM(price), COUNT(text), '
    'SUM(LEN(text)), MAX("order") FROM wide GROUP BY d ORDER BY d'
)


def sums_of(records: list[Record]) -> list[tuple[Any, ...]]:
    """Return the expected result of `QUERY`."""
    return [sums_of_stream(stream, [one for one in records if one["d"] == stream]) for stream in ("d0", "d1", "d2")]


def sums_of_stream(stream: str, records: list[Record]) -> tuple[Any, ...]:
    def known(name: str) -> list[Any]:
        return [one[name] for one in records if one[name] is not None]

    return (
        stream, len(records), sum(known("i")), sum(known("big")), sum(known("ratio")), len(known("is_odd")),
        min(known("day")), max(known("at")), sum(known("price")), len(known("text")),
        sum(map(len, known("text"))), max(known("order")),
    )  # fmt: skip


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, float):
        return math.isclose(float(found), expected, rel_tol=1e-12)
    return bool(found == expected)


@pytest.mark.parametrize("manifests", [Manifests(), Manifests("run", 4)], ids=["stream", "run"])
def test_json_lines_of_every_type_arrive_as_they_were(into: Into, manifests: Manifests) -> None:
    # exact numbers are text in JSON, and nothing in a shard says their type
    into.warehouse.execute("CREATE TABLE wide (price DECIMAL(18, 2))")
    loads, failures = into.run(Written(write(into.warehouse, manifests=manifests), RECORDS), "wide", create_tables=True)
    assert failures == []
    assert [(load.outcome, load.records, load.rejected) for load in loads] == [("loaded", len(RECORDS), 0)]
    rows = into.warehouse.rows(QUERY)
    for row, expected in zip(rows, sums_of(RECORDS), strict=True):
        assert [same(*pair) for pair in zip(row, expected, strict=True)] == [True] * len(expected), (row, expected)
    names = list(RECORDS[0])
    columns = ", ".join(f'"{name}"' for name in names)
    found = into.warehouse.rows(f"SELECT {columns} FROM wide ORDER BY i")
    for row, source in zip(found, RECORDS, strict=True):
        arrived = dict(zip(names, row, strict=True))
        nested = arrived.pop("nested")
        assert (None if nested is None else json.loads(nested)) == source["nested"]
        for name, value in arrived.items():
            assert same(value, source[name]), (name, value, source[name])


def plain(record: Mapping[str, Any]) -> Record:
    """Return the record with the types that Avro's own schemas have without logical types."""
    kept = ("d", "n", "i", "big", "ratio", "is_odd", "text", "nested")
    return {**{name: record[name] for name in kept}, "nested": json.dumps(record["nested"])}


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy"])
def test_avro_arrives_as_it_was(into: Into, codec: Any) -> None:
    records = [plain(record) for record in RECORDS]
    format = AvroFormat(avro_schema_of(records, name="Event"), codec=codec)
    written = Written(write(into.warehouse, format=format), records)
    loads, failures = into.run(written, "wide", create_tables=True, format="avro")
    assert failures == []
    assert [(load.outcome, load.records) for load in loads] == [("loaded", len(records))]
    names = list(records[0])
    found = into.warehouse.rows(f"SELECT {', '.join(names)} FROM wide ORDER BY i")
    assert [dict(zip(names, row, strict=True)) for row in found] == records
    by_stream = into.warehouse.rows("SELECT d, COUNT(*), SUM(i), SUM(LEN(text)) FROM wide GROUP BY d ORDER BY d")
    assert by_stream == [
        (
            stream,
            len(rows := [one for one in records if one["d"] == stream]),
            sum(one["i"] for one in rows),
            sum(len(one["text"] or "") for one in rows),
        )
        for stream in ("d0", "d1", "d2")
    ]


def test_avro_of_nested_types_and_times_arrives(into: Into) -> None:
    schema = {
        "type": "record",
        "name": "Event",
        "fields": [
            {"name": "d", "type": "string"},
            {"name": "n", "type": "string"},
            {"name": "i", "type": "int"},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
            {"name": "tags", "type": {"type": "array", "items": "string"}},
            {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["a", "b"]}},
        ],
    }
    records = [
        {
            "d": "d", "n": "n", "i": i, "at": MOMENT + datetime.timedelta(days=i), "price": Decimal(i) / 100,
            "tags": ["x|y", '"'], "kind": "ab"[i % 2],
        }
        for i in range(5)
    ]  # fmt: skip
    into.warehouse.execute(
        "CREATE TABLE typed (i INTEGER, at TIMESTAMPTZ, price DECIMAL(9, 2), tags SUPER, kind VARCHAR(9))"
    )
    loads, failures = into.run(
        Written(write(into.warehouse, format=AvroFormat(schema)), records), "typed", format="avro"
    )
    assert (len(loads), failures) == (1, [])
    rows = into.warehouse.rows("SELECT i, at, price, kind, tags FROM typed ORDER BY i")
    assert [row[:4] for row in rows] == [(one["i"], one["at"], one["price"], one["kind"]) for one in records]
    assert [json.loads(row[4]) for row in rows] == [one["tags"] for one in records]


def test_a_text_a_byte_too_long_for_any_column_is_refused_and_named(into: Into) -> None:
    records = [{"d": "d", "n": "n", "text": "x" * (LONGEST + 1)}]
    into.warehouse.execute("CREATE TABLE texts (text VARCHAR(65535))")
    _, failures = into.run(Written(write(into.warehouse, long_values="keep"), records), "texts", on_failure="emit")
    assert [failure.error for failure in failures] == ["CopyError"]
    assert "column text" in failures[0].message
    loads, _ = into.run(Written(write(into.warehouse, long_values="keep"), records), "texts", truncatecolumns=True)
    assert loads[0].records == 1
    assert into.warehouse.rows("SELECT LEN(text) FROM texts") == [(LONGEST,)]


def test_no_secret_is_in_a_log_an_error_a_repr_or_a_pickle(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG, "beam_s3box")
    caplog.set_level(logging.DEBUG, "redshift_connector")
    server, keys = warehouse.redshift, warehouse.keys()
    monkeypatch.setenv("REDSHIFT_PASSWORD", server.password)
    connect = RedshiftConnection(server.host, "dev", server.user, port=server.port, ssl=False)
    settings = LoadSettings(
        connection=connect,
        copy=CopySettings(credentials=warehouse.keys),
        fetch=StoreReader(warehouse.settings, warehouse.keys),
    )
    loads = TableLoads(settings=settings, creation=TableCreation())
    outcomes = [
        *loads.outcomes([warehouse.manifest([{"id": 1}])], Target("public", "made")),
        *loads.outcomes([warehouse.manifest([{"id": "no number"}])], Target("public", "made")),
    ]
    assert [type(outcome).__name__ for outcome in outcomes] == ["LoadResult", "LoadFailure"]
    without_keys = table_loads(connect, iam_role=warehouse.role, fetch=StoreReader(warehouse.settings))
    shown = [
        repr(loads), repr(loads.loader), repr(connect), caplog.text, *map(repr, outcomes),
        "\n".join(loads.sql([warehouse.manifest([{"id": 1}])], Target("public", "made"))),
        repr(pickle.dumps(without_keys)), repr(pickle.dumps(RedshiftLoader(connect, iam_role=warehouse.role))),
    ]  # fmt: skip
    for text in shown:
        assert server.password not in text
        assert keys.secret_key not in text
