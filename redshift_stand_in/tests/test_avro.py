"""How COPY loads Avro files."""

from __future__ import annotations

import datetime
import decimal
import io
import json
from typing import Any

import fastavro
import pytest

from redshift_stand_in import ROLE

_AVRO = "FORMAT AS AVRO 'auto'"


def container(fields: list[tuple[str, Any]], records: list[dict[str, Any]], **options: Any) -> bytes:
    schema = {"type": "record", "name": "r", "fields": [{"name": name, "type": kind} for name, kind in fields]}
    out = io.BytesIO()
    fastavro.writer(out, schema, records, **options)
    return out.getvalue()


@pytest.fixture
def load(table: Any, files: Any) -> Any:
    def run(body: bytes, options: str = _AVRO) -> list[tuple[Any, ...]]:
        url = files.manifest(files.put("data.avro", body))
        table.run(f"COPY t FROM '{url}' IAM_ROLE '{ROLE}' MANIFEST {options}")
        found: list[tuple[Any, ...]] = table.run("SELECT * FROM t")
        return found

    return run


@pytest.fixture
def failure(table: Any, files: Any) -> Any:
    def run(body: bytes, options: str = _AVRO) -> str:
        url = files.manifest(files.put("data.avro", body))
        message: str = table.refused(f"COPY t FROM '{url}' IAM_ROLE '{ROLE}' MANIFEST {options}")["M"]
        return message if message.startswith("Invalid") else table.reasons()[-1]

    return run


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy"])
def test_codecs(table: Any, load: Any, codec: str) -> None:
    """dg:copy-parameters-data-format: uncompressed, deflate, snappy."""
    table.create("a bigint, b varchar(9)")
    body = container(
        [("a", "long"), ("b", ["null", "string"]), ("c", "string")],
        [{"a": 1, "b": None, "c": ""}, {"a": 2, "b": "ü", "c": ""}],
        codec=codec,
    )
    assert load(body) == [(1, None), (2, "ü")]


@pytest.mark.parametrize("codec", ["zstandard", "bzip2", "xz"])
def test_other_codecs(table: Any, failure: Any, codec: str) -> None:
    """dg:copy-parameters-data-format: no other codec is named there."""
    table.create("a bigint")
    body = container([("a", "long")], [{"a": 1}], codec="null").replace(
        b"\x14avro.codec\x08null", b"\x14avro.codec" + bytes([2 * len(codec)]) + codec.encode()
    )
    assert failure(body).startswith("Invalid AVRO file found.")


def test_plain_types(table: Any, load: Any) -> None:
    """dg:copy-parameters-data-format: complex types as JSON text, an enum by its name."""
    table.create(
        "a integer, b real, c double precision, d boolean, e varchar(9), f varchar(99), g super, h super, i varchar(9)"
    )
    fields = [
        ("a", "int"), ("b", "float"), ("c", "double"), ("d", "boolean"), ("e", {"type": "enum", "name": "e", "symbols": ["X", "Y"]}),
        ("f", {"type": "array", "items": "long"}), ("g", {"type": "map", "values": "string"}),
        ("h", {"type": "record", "name": "n", "fields": [{"name": "k", "type": ["null", "int"]}]}), ("i", "bytes"),
    ]  # fmt: skip
    row = {
        "a": -1,
        "b": 0.5,
        "c": 0.1,
        "d": True,
        "e": "Y",
        "f": [1, 2],
        "g": {"k": "v"},
        "h": {"k": None},
        "i": b"abc",
    }
    assert load(container(fields, [row])) == [(-1, 0.5, 0.1, True, "Y", "[1,2]", '{"k":"v"}', '{"k":null}', "abc")]


def test_logical_types_are_not_honoured(table: Any, load: Any, failure: Any) -> None:
    """Found in practice, and in no page of the guide: a date is a number of days, a timestamp one of microseconds."""
    fields = [("a", {"type": "int", "logicalType": "date"})]
    body = container(fields, [{"a": datetime.date(2024, 1, 1)}])
    table.create("a date")
    assert failure(body, "FORMAT AS AVRO 'auto' DATEFORMAT 'auto'").startswith("Invalid Date Format")
    table.run("DROP TABLE t")
    table.create("a bigint")
    assert load(body) == [(19723,)]
    table.run("DROP TABLE t")
    table.create("a decimal(10,2)")
    body = container(
        [("a", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2})],
        [{"a": decimal.Decimal("65.10")}],
    )
    assert failure(body).startswith("Invalid digit")


def test_epochs_of_longs(table: Any, load: Any) -> None:
    """dg:copy-parameters-data-conversion, TIMEFORMAT 'epochmillisecs'."""
    table.create("a timestamp")
    fields = [("a", {"type": "long", "logicalType": "timestamp-millis"})]
    stamp = datetime.datetime(2024, 1, 1, 1, 2, 3, 4000, tzinfo=datetime.UTC)
    assert load(container(fields, [{"a": stamp}]), "FORMAT AS AVRO 'auto' TIMEFORMAT 'epochmillisecs'") == [
        (stamp.replace(tzinfo=None),)
    ]


def test_field_names_match_lower_case(table: Any, load: Any) -> None:
    """dg:copy-parameters-data-format: 'auto' matches case, 'auto ignorecase' does not."""
    body = container([("Aa", "int")], [{"Aa": 1}])
    table.create("aa integer")
    assert load(body) == [(None,)]
    assert load(body, "FORMAT AS AVRO 'auto ignorecase'") == [(None,), (1,)]


def test_jsonpaths(table: Any, load: Any, files: Any) -> None:
    """dg:copy-parameters-data-format: deeper levels by a JSONPaths file."""
    table.create("a integer")
    url = files.put("paths", json.dumps({"jsonpaths": ["$.n.k"]}).encode())
    fields = [("n", {"type": "record", "name": "n", "fields": [{"name": "k", "type": "int"}]})]
    assert load(container(fields, [{"n": {"k": 5}}]), f"FORMAT AS AVRO '{url}'") == [(5,)]


def test_the_header_has_at_most_1_mb(table: Any, load: Any, failure: Any) -> None:
    """dg:copy-parameters-data-format: schema and file metadata."""
    table.create("a integer")
    assert load(container([("a", "int")], [{"a": 1}], metadata={"note": "x" * 1_000_000})) == [(1,)]
    assert "more than 1048576" in failure(container([("a", "int")], [{"a": 1}], metadata={"note": "x" * 1_048_576}))


def test_a_block_has_at_most_4_mb(table: Any, load: Any, failure: Any) -> None:
    """dg:copy-parameters-data-format: even if its rows are smaller; here compressed or not."""
    table.create("a varchar(max)")
    records = [{"a": "x" * 60_000}] * 80
    assert "A block has" in failure(container([("a", "string")], records, sync_interval=10_000_000, codec="deflate"))
    assert len(load(container([("a", "string")], records, sync_interval=1_000_000))) == 80


def test_pipes_count_twice(table: Any, failure: Any) -> None:
    """dg:copy-parameters-data-format: a row can be too long in a block that is not."""
    table.create("a integer")
    body = container([("a", "int"), ("x", "string")], [{"a": 1, "x": "|" * 2_100_000}])
    assert "a pipe character counts twice" in failure(body)


def test_an_empty_container_fails(table: Any, failure: Any) -> None:
    """Found in practice: a container without a block ends too early."""
    table.create("a integer")
    assert failure(container([("a", "int")], [])) == "Invalid AVRO file found. Unexpected end of AVRO file."
    assert failure(b"") == "Invalid AVRO file found. Unexpected end of AVRO file."


@pytest.mark.parametrize("cut", [5, 200, -3])
def test_files_that_are_no_container(table: Any, failure: Any, cut: int) -> None:
    """dg:copy-parameters-data-format."""
    table.create("a integer")
    body = container([("a", "int"), ("b", "string")], [{"a": 1, "b": "x" * 200}])
    assert failure(body[:cut]).startswith("Invalid AVRO file found.")
    assert failure(b'{"a": 1}').startswith("Invalid AVRO file found.")


def test_the_schema_is_a_record(table: Any, failure: Any) -> None:
    """dg:copy-parameters-data-format: the schema type must be record."""
    table.create("a integer")
    out = io.BytesIO()
    fastavro.writer(out, {"type": "map", "values": "int"}, [{"a": 1}])
    assert failure(out.getvalue()) == "Invalid AVRO file found. The schema type must be record."


def test_unions_beyond_null(table: Any, failure: Any) -> None:
    """Not documented, so rejected."""
    table.create("a integer")
    assert "only a union of null" in failure(container([("a", ["null", "int", "string"])], [{"a": 1}]))
