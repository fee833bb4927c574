"""JSON lines and JSON arrays: what stands around and between the records."""

from __future__ import annotations

import dataclasses
import gzip
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError
from beam_s3box.formats import JSON_ARRAY, JSON_LINES, JsonText, deflate

RECORDS = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    max_size=3,
)


def lines_of(records: list[dict[str, Any]]) -> list[bytes]:
    return [json.dumps(record, ensure_ascii=False).encode() for record in records]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(RECORDS, min_size=1, max_size=4), min_size=1, max_size=4))
def test_readers_find_the_records(parts: list[list[dict[str, Any]]]) -> None:
    records = [record for part in parts for record in part]
    array = gzip.decompress(JSON_ARRAY.join([JSON_ARRAY.cut(lines_of(part)) for part in parts]))
    assert json.loads(array) == records
    text = gzip.decompress(JSON_LINES.join([JSON_LINES.cut(lines_of(part)) for part in parts])).decode()
    assert text.endswith("\n")
    assert [json.loads(line) for line in text[:-1].split("\n")] == records


def test_golden_texts() -> None:
    parts = [[b'{"a":1}', b'{"a":2}'], [b'{"a":3}']]
    lines = JSON_LINES.join([JSON_LINES.cut(part) for part in parts])
    array = JSON_ARRAY.join([JSON_ARRAY.cut(part) for part in parts])
    assert gzip.decompress(lines) == b'{"a":1}\n{"a":2}\n{"a":3}\n'
    assert gzip.decompress(array) == b'[\n{"a":1},\n{"a":2},\n{"a":3}\n]\n'


def test_an_array_without_records_is_an_array() -> None:
    assert json.loads(gzip.decompress(JSON_ARRAY.join([]))) == []
    assert gzip.decompress(JSON_LINES.join([])) == b""


@pytest.mark.parametrize("level", range(1, 10))
@pytest.mark.parametrize("template", [JSON_LINES, JSON_ARRAY], ids=lambda format: format.name)
def test_every_level_writes_the_same_records(template: JsonText, level: int) -> None:
    format = dataclasses.replace(template, compression_level=level)
    lines = [f'{{"id":{i},"v":"{i * 7919 % 1000}"}}'.encode() for i in range(2000)]
    segment = format.cut(lines)
    reference = template.cut(lines)
    assert (segment.crc32, segment.raw_bytes) == (reference.crc32, reference.raw_bytes)
    assert gzip.decompress(format.join([segment, segment])) == gzip.decompress(template.join([reference, reference]))


def test_a_higher_level_compresses_better() -> None:
    lines = [f'{{"id":{i},"v":"{i * 7919 % 1000}"}}'.encode() for i in range(5000)]
    sizes = [len(dataclasses.replace(JSON_LINES, compression_level=level).cut(lines).data) for level in (1, 4, 9)]
    assert sizes[0] > sizes[1]
    assert sizes[0] > sizes[2]


@pytest.mark.parametrize("level", [0, -1, 10, 4.0, "4", None, True])
def test_levels_are_checked(level: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"must be a whole number from 1 to 9: 1 is fastest, 9 is slowest"
    ) as caught:
        dataclasses.replace(JSON_LINES, compression_level=level)
    assert f"compression_level={level!r}" in str(caught.value)


def test_defaults() -> None:
    assert JSON_LINES.compression_level == JSON_ARRAY.compression_level == deflate.LEVEL
    assert (JSON_LINES.name, JSON_ARRAY.name) == ("json-lines", "json-array")
    assert JSON_LINES.extension == JSON_ARRAY.extension == ".json.gz"
    assert JSON_LINES.content_type == JSON_ARRAY.content_type == "application/gzip"
    assert (JSON_LINES.record_overhead, JSON_ARRAY.record_overhead) == (1, 2)


def test_frames_are_these() -> None:
    assert JSON_LINES.overhead.shard == (20, 0, 0)
    assert JSON_LINES.overhead.separator == (0, 0, 0)
    assert JSON_ARRAY.overhead.shard == (20 + 5 + 2 + 5 + 3, 5, 0)
    assert JSON_ARRAY.overhead.separator == (5 + 2, 2, 0)


def test_a_format_is_a_value() -> None:
    assert hash(JSON_LINES) == hash(dataclasses.replace(JSON_LINES))
    with pytest.raises(dataclasses.FrozenInstanceError):
        JSON_LINES.compression_level = 5  # type: ignore[misc]
