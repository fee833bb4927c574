"""What a shard holds is checked to the last byte, and each kind of damage is named."""

from __future__ import annotations

import gzip
import json
import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_s3box.formats import FORMATS
from beam_s3box.runs.verify import json_contents
from beam_s3box.runs.verify.json_contents import Contents, DamagedShardError, read_json

RECORDS = [{"i": number, "text": f"ä{number}\n}}\n{{", "in": {"list": [{"a": 1}, {}]}} for number in range(50)]
LINES = [json.dumps(record, ensure_ascii=False).encode() for record in RECORDS]
TEXT = b"".join(line + b"\n" for line in LINES)
BLOCK_BYTES = pytest.mark.parametrize("block_bytes", [2, 7, 1 << 20])


def shard(name: str = "json-lines", lines: list[bytes] = LINES, step: int = 30) -> bytes:
    format = FORMATS[name]
    return format.join([format.cut(lines[start : start + step]) for start in range(0, len(lines), step)])


@BLOCK_BYTES
@pytest.mark.parametrize("name", sorted(FORMATS))
def test_whole_shards(monkeypatch: pytest.MonkeyPatch, name: str, block_bytes: int) -> None:
    """Wherever blocks are cut, all lines come, in order, without what the format adds."""
    monkeypatch.setattr(json_contents, "_BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(json_contents, "_READ_BYTES", 5 * block_bytes)
    body, taken = shard(name), bytearray()
    assert read_json(body, taken.extend) == Contents(len(LINES), len(gzip.decompress(body)))
    assert bytes(taken) == TEXT


@given(st.lists(st.dictionaries(st.text(), st.integers() | st.text() | st.none()), min_size=1, max_size=5), st.data())
@settings(max_examples=200, deadline=None)
def test_any_records(records: list[dict[str, object]], data: st.DataObject) -> None:
    ascii_only = data.draw(st.booleans())
    lines = [json.dumps(record, ensure_ascii=ascii_only).encode("utf-8", "replace") for record in records]
    for name in sorted(FORMATS):
        assert read_json(shard(name, lines, 2)).records == len(records)


def test_lines_may_have_white_space_and_deep_or_large_values() -> None:
    """As the text that a user gave is kept as it is."""
    lines = [b' {"a": 1} ', b'{"b":' + b"[" * 300 + b"]" * 300 + b"}", b'{"c":' + b"9" * 400 + b"}"]
    assert read_json(gzip.compress(b"\n".join(lines) + b"\n")).records == 3


def test_no_records_are_none() -> None:
    assert read_json(gzip.compress(b"")) == Contents(0, 0)


def gz(text: bytes) -> bytes:
    return gzip.compress(text, mtime=0)


@BLOCK_BYTES
@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "ends in the middle of its gzip member"),
        (b"\x1f\x8b", "ends in the middle of its gzip member"),
        (b"no gzip", "is not valid gzip"),
        (shard()[:-1], "ends in the middle of its gzip member"),
        (shard()[: len(shard()) // 2], "ends in the middle of its gzip member"),
        (shard() * 2, f"has a second gzip member of {len(shard()):,} bytes"),
        (shard() + b"\0", "has 1 bytes behind its gzip member"),
        (shard() + b"x" * 300_000, "has 300,000 bytes behind its gzip member"),
        (shard()[:-8] + b"\0\0\0\0" + shard()[-4:], "is not valid gzip"),
        (shard()[:-4] + b"\0\0\0\0", "is not valid gzip"),
        (gz(TEXT[:-1]), "its last line has no line break"),
        (gz(TEXT + b"\n"), "line 51 is no record"),
        (gz(b"\n" + TEXT), "line 1 is no record"),
        (gz(LINES[0] + b"\n\n" + LINES[1] + b"\n"), "line 2 is no record"),
        (gz(LINES[0] + b"\n[1]\n"), "line 2 is no record: a JSON array, not an object"),
        (gz(LINES[0] + b"\n" + LINES[1][:-1] + b"\n"), "line 2 is no record: not JSON"),
        (gz(LINES[0] + LINES[1] + b"\n"), "line 1 is no record: not JSON"),
        (gz(b'{"a":\n1}{"b":2}\n'), "line 1 is no record: not JSON"),
        (gz(b'{"a":1}\n{"b":"\xff"}\n'), "line 2 is no record: not valid UTF-8"),
        (gz(b'{"a":1} {"b":2}\n{"c":\n3}\n'), "line 1 is no record"),
        (gz(b'[\n{"a":1},\n{"a":2}\n'), "ends in the middle of its array"),
        (gz(b'[\n{"a":1},\n{"a":2}\n]'), "its last line has no line break"),
        (gz(b'[\n{"a":1}\n{"a":2}\n]\n'), "has 0 commas between the 2 lines of its array"),
        (gz(b'[\n{"a":1},\n{"a":2},\n]\n'), "has 2 commas between the 2 lines of its array"),
        (gz(b'[\n{"a":1},\n3\n]\n'), "line 2 is no record"),
    ],
)
def test_damage_is_named(monkeypatch: pytest.MonkeyPatch, body: bytes, fault: str, block_bytes: int) -> None:
    monkeypatch.setattr(json_contents, "_BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(json_contents, "_READ_BYTES", 5 * block_bytes)
    with pytest.raises(DamagedShardError) as raised:
        read_json(body)
    assert fault in str(raised.value)


@pytest.mark.parametrize("seed", range(3))
def test_each_flipped_bit_is_found(seed: int) -> None:
    """But for those of the header that say nothing about the content: time, system and hints."""
    body = shard(lines=LINES[:40])
    source = random.Random(seed)
    for _ in range(200):
        at = source.randrange(len(body))
        if 4 <= at < 10:
            continue
        flipped = bytearray(body)
        flipped[at] ^= 1 << source.randrange(8)
        try:
            found = read_json(bytes(flipped))
        except DamagedShardError:
            continue
        # another way to write the same deflate data, or a flag that adds nothing
        assert found == read_json(body), at
        assert zlib.decompress(bytes(flipped), 31) == zlib.decompress(body, 31)


def test_a_line_that_never_ends_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_contents, "_MAX_LINE_BYTES", 1 << 20)
    with pytest.raises(DamagedShardError, match="has a line of more than"):
        read_json(gz(b"\0" * (20 << 20)))
