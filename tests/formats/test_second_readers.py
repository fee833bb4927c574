"""Shards and manifests are read by what reads lakes, and by the second reader of each format."""

from __future__ import annotations

import gzip
import json
import pathlib
import zlib
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import avro.datafile
import avro.io
import duckdb
import fastavro
import polars
import pyarrow.json
import pytest

from beam_s3box import S3Box
from beam_s3box.formats import AvroFormat, Format

Rows: TypeAlias = list[dict[str, Any]]

RECORDS = [
    {"i": i, "name": f"n{i % 7} é 😀 \u2028 \\ \" \x01", "price": i / 8, "ok": i % 3 == 0, "tags": [str(i)] * (i % 4)}
    for i in range(3_000)
]  # fmt: skip
SCHEMA = {
    "type": "record",
    "name": "Line",
    "fields": [
        {"name": "i", "type": "long"},
        {"name": "name", "type": "string"},
        {"name": "price", "type": "double"},
        {"name": "ok", "type": "boolean"},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
    ],
}
AVROS = [AvroFormat(SCHEMA, codec=codec, for_redshift=False) for codec in ("null", "deflate", "snappy")]


def by_gzip(path: pathlib.Path) -> Rows:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).split(b"\n")[:-1]]


def by_zlib(path: pathlib.Path) -> Rows:
    """Many readers stop at the end of the first member."""
    member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    text = member.decompress(path.read_bytes())
    assert (member.eof, member.unused_data) == (True, b"")
    return [json.loads(line) for line in text.split(b"\n")[:-1]]


def by_duckdb(path: pathlib.Path) -> Rows:
    return cast(Rows, duckdb.read_json(str(path), format="newline_delimited").to_arrow_table().to_pylist())


def by_duckdb_array(path: pathlib.Path) -> Rows:
    return cast(Rows, duckdb.read_json(str(path), format="array").to_arrow_table().to_pylist())


def by_pyarrow(path: pathlib.Path) -> Rows:
    return cast(Rows, pyarrow.json.read_json(str(path)).to_pylist())


def by_polars(path: pathlib.Path) -> Rows:
    return polars.read_ndjson(path).to_dicts()


def by_avro(path: pathlib.Path) -> Rows:
    with avro.datafile.DataFileReader(path.open("rb"), avro.io.DatumReader()) as reader:
        return cast(Rows, list(reader))


def by_fastavro(path: pathlib.Path) -> Rows:
    with path.open("rb") as file:
        return cast(Rows, list(fastavro.reader(file)))


def by_polars_avro(path: pathlib.Path) -> Rows:
    return polars.read_avro(path).to_dicts()


@pytest.mark.parametrize(
    ("format", "read"),
    [
        *[("json-lines", read) for read in (by_gzip, by_zlib, by_duckdb, by_pyarrow, by_polars)],
        ("json-array", by_duckdb_array),
        *[(format, read) for format in AVROS for read in (by_fastavro, by_polars_avro)],
        # without a package that is built from C++, Avro's own knows no Snappy
        *[(format, by_avro) for format in AVROS[:2]],
    ],
    ids=lambda value: getattr(value, "codec", None) or getattr(value, "__name__", value),
)
def test_shards_are_read_by(format: str | Format, read: Callable[[pathlib.Path], Rows], tmp_path: pathlib.Path) -> None:
    """Each has several segments or blocks, which were compressed apart."""
    with S3Box(tmp_path, format=format, max_object_bytes=12_000) as box:
        box.pack_many(RECORDS)
        box.seal()
    paths = [path for path in tmp_path.glob("data/**/*") if path.is_file()]
    assert len(paths) > 1
    assert sorted((row for path in paths for row in read(path)), key=lambda row: row["i"]) == RECORDS


def test_manifests_are_read_by_another_parser(tmp_path: pathlib.Path) -> None:
    with S3Box(tmp_path, max_object_bytes=12_000, domain='d"\\é😀', namespace="n") as box:
        box.pack_many(RECORDS)
        [key] = box.create_manifests()
    text = (tmp_path / key).read_text("utf-8")
    expected = [(each["url"], each["mandatory"], *each["meta"].values()) for each in json.loads(text)["entries"]]
    found = duckdb.sql(
        "select unnest(entries, recursive := true) from read_json($path, format = 'unstructured')",
        params={"path": str(tmp_path / key)},
    )
    assert found is not None
    assert found.fetchall() == expected
    assert all(pathlib.Path(url.removeprefix("file://")).stat().st_size > 0 for url, *_ in expected)
