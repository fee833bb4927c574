"""What every format must do: cut, join, and say beforehand how large the result is."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import random
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError
from beam_s3box.formats import (
    FORMATS,
    JSON_ARRAY,
    JSON_LINES,
    AvroFormat,
    Format,
    JsonText,
    encoders_of,
    format_named,
    format_of,
    resolved_for,
)
from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import NOTHING, Segment, total_size
from beam_s3box.sizes import MiB
from beam_s3box.stores.base import check_key

STREAM = Stream("web", "clicks")
RAW = {"type": "record", "name": "Line", "fields": [{"name": "raw", "type": "bytes"}]}
TEXTS = [FORMATS[name] for name in sorted(FORMATS)]
AVROS = [AvroFormat(RAW, codec="null"), AvroFormat(RAW), AvroFormat(RAW, codec="snappy", for_redshift=False)]
ALL: list[Format] = [*TEXTS, *AVROS]


def name_of(format: Format) -> str:
    return f"{format.name}-{format.codec}" if isinstance(format, AvroFormat) else format.name


BY_NAME = pytest.mark.parametrize("format", ALL, ids=name_of)
TEXTS_BY_NAME = pytest.mark.parametrize("format", TEXTS, ids=name_of)
LINES = st.lists(
    st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b" ").replace(b"\r", b" "))
    | st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=20), max_size=3).map(
        lambda record: json.dumps(record, ensure_ascii=False).encode("utf-8", "replace")
    ),
    min_size=1,
    max_size=6,
)
PARTS = st.lists(LINES, min_size=1, max_size=5)


def read_strictly(body: bytes) -> bytes:
    """Return what a reader sees that stops after the first gzip member, after checking that nothing follows it."""
    reader = zlib.decompressobj(31)
    raw = reader.decompress(body)
    assert reader.eof
    assert reader.unused_data == b""
    assert reader.unconsumed_tail == b""
    assert gzip.decompress(body) == raw
    return raw


def packed(format: Format, lines: list[bytes]) -> list[bytes]:
    """Return what the format packs: the lines, or rows that hold them."""
    encoders = encoders_of(format)
    if encoders is None:
        return lines
    return [encoders(STREAM)(b'{"raw":"%s"}' % line.hex().encode()) for line in lines]


def cut(format: Format, lines: list[bytes]) -> Segment:
    return format.cut(packed(format, lines))


def read(format: Format, body: bytes) -> bytes:
    """Return the text of a shard, or its rows one behind the other."""
    if format in TEXTS:
        return read_strictly(body)
    found: list[Any] = list(fastavro.reader(io.BytesIO(body)))
    return b"".join(packed(format, [record["raw"] for record in found]))


def expected_text(format: Format, lines: list[bytes]) -> bytes:
    if format not in TEXTS:
        return b"".join(packed(format, lines))
    return b"\n".join(lines) + b"\n" if format.name == "json-lines" else b"[\n" + b",\n".join(lines) + b"\n]\n"


def gzip_test(body: bytes, folder: Path) -> None:
    path = folder / "shard.json.gz"
    path.write_bytes(body)
    done = subprocess.run(["gzip", "-tv", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "trailing" not in done.stderr


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ALL), PARTS)
def test_a_shard_is_one_member_with_all_lines_in_order(format: Format, parts: list[list[bytes]]) -> None:
    body = format.join([cut(format, lines) for lines in parts])
    assert read(format, body) == expected_text(format, [line for lines in parts for line in lines])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ALL), PARTS)
def test_sizes_are_known_before_joining(format: Format, parts: list[list[bytes]]) -> None:
    segments = [cut(format, lines) for lines in parts]
    body = format.join(segments)
    overhead, separators = format.overhead, len(parts) - 1
    total = total_size(segments).plus(overhead.shard)
    assert len(body) == total.object_bytes + separators * overhead.separator.object_bytes
    assert len(read(format, body)) == total.raw_bytes + separators * overhead.separator.raw_bytes
    assert total.records == sum(map(len, parts))
    assert overhead.shard.records == overhead.separator.records == 0


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(TEXTS), LINES)
def test_a_segment_of_text_has_its_checksum(format: Format, lines: list[bytes]) -> None:
    segment = format.cut(lines)
    raw = zlib.decompressobj(-15).decompress(segment.data)
    assert (segment.raw_bytes, segment.crc32) == (len(raw), zlib.crc32(raw))


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(ALL), LINES)
def test_a_segment_says_what_it_is(format: Format, lines: list[bytes]) -> None:
    rows = packed(format, lines)
    segment = format.cut(rows)
    assert segment.records == len(lines)
    assert segment.raw_bytes <= sum(map(len, rows)) + format.record_overhead * len(lines)
    assert segment.raw_bytes >= sum(map(len, rows)) + format.record_overhead * (len(lines) - 1)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(ALL), PARTS)
def test_equal_records_give_equal_bytes(format: Format, parts: list[list[bytes]]) -> None:
    first = format.join([cut(format, lines) for lines in parts])
    again: Format = pickle.loads(pickle.dumps(format))
    assert again.join([cut(again, [bytes(bytearray(line)) for line in lines]) for lines in parts]) == first
    assert again == format
    assert again.overhead == format.overhead


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(ALL), PARTS)
def test_joining_leaves_segments_alone_and_takes_any_sequence(format: Format, parts: list[list[bytes]]) -> None:
    segments = tuple(cut(format, lines) for lines in parts)
    before = [tuple(segment) for segment in segments]
    assert format.join(segments) == format.join(list(segments))
    assert [tuple(segment) for segment in segments] == before


@TEXTS_BY_NAME
def test_the_header_has_no_time_name_or_system(format: Format) -> None:
    body = format.join([cut(format, [b"{}"])])
    assert body[:10] == b"\x1f\x8b\x08\x00" + bytes(4) + b"\x00\xff"


@TEXTS_BY_NAME
def test_gzip_itself_finds_nothing_wrong(format: Format, tmp_path: Path) -> None:
    assert shutil.which("gzip"), "these tests need the gzip command"
    source = random.Random(7)
    for parts in (
        [[b"{}"]],
        [[b'{"a":1}'] * 1000, [b'{"b":"' + source.randbytes(500).hex().encode() + b'"}'] * 3, [b"{}"]],
    ):
        gzip_test(format.join([cut(format, lines) for lines in parts]), tmp_path)


@BY_NAME
def test_large_segments(format: Format, tmp_path: Path) -> None:
    """Up to 1 MiB: text that compresses well, text that does not, and bytes that can't at all."""
    source = random.Random(11)
    good = [f'{{"id":{i},"name":"user-{i % 100}","ok":true}}'.encode() for i in range(20_000)]
    bad = [b'{"v":"' + source.randbytes(400).hex().encode() + b'"}' for _ in range(1200)]
    worst = [source.randbytes(1000).replace(b"\n", b" ") for _ in range(1040)]
    segments = [cut(format, lines) for lines in (good, bad, worst, [b"x" * MiB], good)]
    body = format.join(segments)
    assert read(format, body) == expected_text(format, [*good, *bad, *worst, b"x" * MiB, *good])
    total = total_size(segments).plus(format.overhead.shard)
    assert len(body) == total.object_bytes + 4 * format.overhead.separator.object_bytes
    if format in TEXTS:
        gzip_test(body, tmp_path)


@BY_NAME
def test_many_small_segments(format: Format, tmp_path: Path) -> None:
    lines = [f'{{"i":{i}}}'.encode() for i in range(3000)]
    body = format.join([cut(format, [line]) for line in lines])
    assert read(format, body) == expected_text(format, lines)
    if format in TEXTS:
        gzip_test(body, tmp_path)


@BY_NAME
def test_the_same_segment_may_stand_twice(format: Format) -> None:
    segment = cut(format, [b'{"a":1}', b'{"a":2}'])
    assert read(format, format.join([segment] * 3)) == expected_text(format, [b'{"a":1}', b'{"a":2}'] * 3)


@BY_NAME
def test_segments_compress(format: Format) -> None:
    lines = [f'{{"id":{i},"country":"DE","event":"page_view"}}'.encode() for i in range(10_000)]
    segment = cut(format, lines)
    if name_of(format) != "avro-null":
        assert segment.raw_bytes > 5 * len(segment.data)


@BY_NAME
def test_names_itself(format: Format) -> None:
    assert FORMATS.get(format.name, format) is format
    assert format.extension.startswith(".")
    assert check_key(f"a{format.extension}")
    assert format.content_type.count("/") == 1
    assert "gzip" not in format.content_type.split("/")[0]
    assert format.overhead.shard.object_bytes > 0
    assert format.overhead.separator.plus(NOTHING) == format.overhead.separator


def test_only_lines_can_be_loaded_by_copy() -> None:
    """COPY takes a whole array for one row."""
    assert JSON_LINES.copy_clause == "FORMAT AS JSON 'auto' GZIP"
    assert JSON_ARRAY.copy_clause is None


def test_formats_by_name() -> None:
    assert format_named("json-lines") is JSON_LINES
    assert format_named("json-array") is JSON_ARRAY
    assert format_named(JSON_ARRAY) is JSON_ARRAY
    for name in ("json", "", "JSON-LINES", "parquet"):
        with pytest.raises(
            ConfigurationError, match=f"format='{name}' is not known; known are avro, json-array, json-lines"
        ):
            format_named(name)


def test_a_level_is_given_with_a_format_of_json() -> None:
    for format in ("json-lines", "json-array", JSON_ARRAY):
        leveled, usual = format_named(format, 9), format_named(format)
        assert isinstance(leveled, JsonText)
        assert (leveled.compression_level, leveled.name) == (9, usual.name)
        assert leveled.fingerprint == usual.fingerprint
    with pytest.raises(ConfigurationError, match="compression_level='9' must be a whole number from 1 to 9"):
        format_named("json-lines", "9")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="compression_level=9 and format='avro' are mutually exclusive"):
        format_named("avro", 9, finds_schema=True)


@BY_NAME
def test_what_depends_on_the_stream_or_the_manifests(format: Format) -> None:
    """Formats of lines are the same for all; those of rows say so themselves."""
    assert format_of(format, STREAM) == format
    assert (encoders_of(format) is None) == (format in TEXTS)
    if format in TEXTS:
        assert resolved_for(format, copy=True) is resolved_for(format, copy=False) is format
