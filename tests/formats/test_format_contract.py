"""What every format must do: cut, join, and say beforehand how large the result is."""

from __future__ import annotations

import gzip
import json
import pickle
import random
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError
from beam_s3box.formats import FORMATS, JSON_ARRAY, JSON_LINES, Format, format_named
from beam_s3box.shards import NOTHING, total_size
from beam_s3box.sizes import MiB
from beam_s3box.stores.base import check_key

ALL = [FORMATS[name] for name in sorted(FORMATS)]
BY_NAME = pytest.mark.parametrize("format", ALL, ids=lambda format: format.name)
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


def expected_text(format: Format, lines: list[bytes]) -> bytes:
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
    body = format.join([format.cut(lines) for lines in parts])
    assert read_strictly(body) == expected_text(format, [line for lines in parts for line in lines])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ALL), PARTS)
def test_sizes_are_known_before_joining(format: Format, parts: list[list[bytes]]) -> None:
    segments = [format.cut(lines) for lines in parts]
    body = format.join(segments)
    frame, joints = format.frame, len(parts) - 1
    total = total_size(segments).plus(frame.shard)
    assert len(body) == total.object_bytes + joints * frame.joint.object_bytes
    assert len(read_strictly(body)) == total.raw_bytes + joints * frame.joint.raw_bytes
    assert total.records == sum(map(len, parts))
    assert frame.shard.records == frame.joint.records == 0


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(ALL), LINES)
def test_a_segment_says_what_it_is(format: Format, lines: list[bytes]) -> None:
    segment = format.cut(lines)
    raw = zlib.decompressobj(-15).decompress(segment.data)
    assert (segment.raw_bytes, segment.crc32, segment.records) == (len(raw), zlib.crc32(raw), len(lines))
    assert segment.raw_bytes <= sum(map(len, lines)) + format.record_overhead * len(lines)
    assert segment.raw_bytes >= sum(map(len, lines)) + format.record_overhead * (len(lines) - 1)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(ALL), PARTS)
def test_equal_records_give_equal_bytes(format: Format, parts: list[list[bytes]]) -> None:
    first = format.join([format.cut(lines) for lines in parts])
    again: Format = pickle.loads(pickle.dumps(format))
    assert again.join([again.cut([bytes(bytearray(line)) for line in lines]) for lines in parts]) == first
    assert again == format
    assert again.frame == format.frame


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(ALL), PARTS)
def test_joining_leaves_segments_alone_and_takes_any_sequence(format: Format, parts: list[list[bytes]]) -> None:
    segments = tuple(format.cut(lines) for lines in parts)
    before = [tuple(segment) for segment in segments]
    assert format.join(segments) == format.join(list(segments))
    assert [tuple(segment) for segment in segments] == before


@BY_NAME
def test_the_header_has_no_time_name_or_system(format: Format) -> None:
    body = format.join([format.cut([b"{}"])])
    assert body[:10] == b"\x1f\x8b\x08\x00" + bytes(4) + b"\x00\xff"


@BY_NAME
def test_gzip_itself_finds_nothing_wrong(format: Format, tmp_path: Path) -> None:
    assert shutil.which("gzip"), "these tests need the gzip command"
    source = random.Random(7)
    for parts in (
        [[b"{}"]],
        [[b'{"a":1}'] * 1000, [b'{"b":"' + source.randbytes(500).hex().encode() + b'"}'] * 3, [b"{}"]],
    ):
        gzip_test(format.join([format.cut(lines) for lines in parts]), tmp_path)


@BY_NAME
def test_large_segments(format: Format, tmp_path: Path) -> None:
    """Up to 1 MiB: text that compresses well, text that does not, and bytes that can't at all."""
    source = random.Random(11)
    good = [f'{{"id":{i},"name":"user-{i % 100}","ok":true}}'.encode() for i in range(20_000)]
    bad = [b'{"v":"' + source.randbytes(400).hex().encode() + b'"}' for _ in range(1200)]
    worst = [source.randbytes(1000).replace(b"\n", b" ") for _ in range(1040)]
    segments = [format.cut(lines) for lines in (good, bad, worst, [b"x" * MiB], good)]
    body = format.join(segments)
    assert read_strictly(body) == expected_text(format, [*good, *bad, *worst, b"x" * MiB, *good])
    total = total_size(segments).plus(format.frame.shard)
    assert len(body) == total.object_bytes + 4 * format.frame.joint.object_bytes
    gzip_test(body, tmp_path)


@BY_NAME
def test_many_small_segments(format: Format, tmp_path: Path) -> None:
    lines = [f'{{"i":{i}}}'.encode() for i in range(3000)]
    body = format.join([format.cut([line]) for line in lines])
    assert read_strictly(body) == expected_text(format, lines)
    gzip_test(body, tmp_path)


@BY_NAME
def test_the_same_segment_may_stand_twice(format: Format) -> None:
    segment = format.cut([b'{"a":1}', b'{"a":2}'])
    assert read_strictly(format.join([segment] * 3)) == expected_text(format, [b'{"a":1}', b'{"a":2}'] * 3)


@BY_NAME
def test_segments_compress(format: Format) -> None:
    lines = [f'{{"id":{i},"country":"DE","event":"page_view"}}'.encode() for i in range(10_000)]
    segment = format.cut(lines)
    assert segment.raw_bytes > 5 * len(segment.data)


@BY_NAME
def test_names_itself(format: Format) -> None:
    assert FORMATS[format.name] is format
    assert format.extension.startswith(".")
    assert check_key(f"a{format.extension}")
    assert format.content_type.count("/") == 1
    assert "gzip" not in format.content_type.split("/")[0]
    assert format.frame.shard.object_bytes > 0
    assert format.frame.joint.plus(NOTHING) == format.frame.joint


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
            ConfigurationError, match=f"format='{name}' is not known; known are .*json-array, json-lines"
        ):
            format_named(name)
