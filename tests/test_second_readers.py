"""Readers that have nothing to do with each other read what a run leaves: shards of each format, and manifests."""

from __future__ import annotations

import gzip
import io
import json
import pathlib
import zlib
from collections.abc import Callable
from typing import Any

import avro.datafile
import avro.io
import duckdb
import fastavro
import orjson
import polars
import pyarrow.json
import pytest

from beam_s3box import S3Box
from beam_s3box.formats import AvroFormat

RECORDS = 5_000
SCHEMA = {"type": "record", "name": "R", "fields": [{"name": "i", "type": "long"}, {"name": "text", "type": "string"}]}
TEXTS = ("plain", "naïve ☃ 𝄞", 'quo"te \\ back', "tab\tline\u2028feed\r\n", "", "null")


def record(number: int) -> dict[str, Any]:
    return {"i": number, "text": TEXTS[number % len(TEXTS)] * (number % 7)}


def written(folder: pathlib.Path, **settings: Any) -> list[pathlib.Path]:
    """Write the records in several shards of several segments each, and return the paths of the shards."""
    with S3Box(str(folder), max_records=2_000, **settings) as box:
        for number in range(RECORDS):
            box.pack(record(number))
    assert len(box.shards) == 3
    box.create_manifests(count=2)
    return [folder / shard.key for shard in box.shards]


def first_member(body: bytes) -> bytes:
    """Return what a reader finds that stops behind the first member, as Redshift's does."""
    return zlib.decompressobj(31).decompress(body)


def by_gzip(path: pathlib.Path) -> list[Any]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).split(b"\n") if line]


def by_zlib(path: pathlib.Path) -> list[Any]:
    return [json.loads(line) for line in first_member(path.read_bytes()).split(b"\n") if line]


def by_duckdb(path: pathlib.Path) -> list[Any]:
    rows = duckdb.execute("SELECT i, text FROM read_json(?)", [str(path)]).fetchall()
    return [{"i": number, "text": text} for number, text in rows]


def by_pyarrow(path: pathlib.Path) -> list[Any]:
    with pyarrow.input_stream(str(path), compression="gzip") as stream:
        found: list[Any] = pyarrow.json.read_json(stream).to_pylist()
    return found


def by_polars(path: pathlib.Path) -> list[Any]:
    return polars.read_ndjson(path).to_dicts()


def by_fastavro(path: pathlib.Path) -> list[Any]:
    return list(fastavro.reader(io.BytesIO(path.read_bytes())))


def by_avro(path: pathlib.Path) -> list[Any]:
    with path.open("rb") as file, avro.datafile.DataFileReader(file, avro.io.DatumReader()) as reader:
        return list(reader)


def by_polars_avro(path: pathlib.Path) -> list[Any]:
    return polars.read_avro(path).to_dicts()


def by_gzip_whole(path: pathlib.Path) -> list[Any]:
    found: list[Any] = json.loads(gzip.decompress(path.read_bytes()))
    return found


@pytest.mark.parametrize("read", [by_gzip, by_zlib, by_duckdb, by_pyarrow, by_polars])
def test_lines_are_read_by(read: Callable[[pathlib.Path], list[Any]], tmp_path: pathlib.Path) -> None:
    check(read, written(tmp_path))


@pytest.mark.parametrize("read", [by_gzip_whole, by_duckdb])
def test_arrays_are_read_by(read: Callable[[pathlib.Path], list[Any]], tmp_path: pathlib.Path) -> None:
    with S3Box(str(tmp_path), max_records=2_000, format="json-array") as box:
        for number in range(RECORDS):
            box.pack(record(number))
    check(read, [tmp_path / shard.key for shard in box.shards])


@pytest.mark.parametrize(
    ("read", "codec"),
    [
        *((read, codec) for read in (by_fastavro, by_polars_avro) for codec in ("null", "deflate", "snappy")),
        # without another package it knows no snappy
        *((by_avro, codec) for codec in ("null", "deflate")),
    ],
)
def test_avro_is_read_by(read: Callable[[pathlib.Path], list[Any]], codec: Any, tmp_path: pathlib.Path) -> None:
    check(read, written(tmp_path, format=AvroFormat(SCHEMA, codec=codec)))


def check(read: Callable[[pathlib.Path], list[Any]], shards: list[pathlib.Path]) -> None:
    found = [one for shard in shards for one in read(shard)]
    assert sorted(found, key=lambda one: int(one["i"])) == [record(number) for number in range(RECORDS)]


def test_manifests_are_the_same_to_every_parser(tmp_path: pathlib.Path) -> None:
    shards = written(tmp_path)
    manifests = sorted(tmp_path.glob("manifests/**/*.manifest"))
    assert len(manifests) == 2
    listed: list[tuple[str, bool, int, int]] = []
    for manifest in manifests:
        body = manifest.read_bytes()
        assert json.loads(body) == orjson.loads(body)
        rows = duckdb.execute(
            "SELECT e.url, e.mandatory, e.meta.content_length, e.meta.record_count "
            "FROM (SELECT unnest(entries) AS e FROM read_json(?))",
            [str(manifest)],
        ).fetchall()
        entries = [(one["url"], one["mandatory"], *one["meta"].values()) for one in json.loads(body)["entries"]]
        assert rows == entries
        listed += entries
    assert sorted(listed) == sorted(
        (f"file://{path}", True, path.stat().st_size, len(by_gzip(path))) for path in shards
    )
