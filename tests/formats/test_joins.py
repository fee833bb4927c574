"""Finished shards become one without being decompressed: the same records, one gzip member, nothing of others."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
from collections.abc import Sequence
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_s3box.errors import S3BoxError
from beam_s3box.formats import JSON_ARRAY, JSON_LINES, AvroFormat, Format
from beam_s3box.formats.joins import TAIL_BYTES, Ends, JsonJoin, join_of
from tests.readback import strict_gunzip

SCHEMA = {"type": "record", "name": "Click", "fields": [{"name": "id", "type": "long"}]}
AVRO = AvroFormat(SCHEMA)
URL = "s3://b/k"
LINES = st.lists(st.lists(st.integers(0, 10**6), min_size=1, max_size=30), min_size=1, max_size=5)


def shard(format: Format, *segments: Sequence[int]) -> bytes:
    """Return a shard with these ids."""
    encode = AVRO.encoder(None) if format is AVRO else bytes  # type: ignore[arg-type]
    return format.join([format.cut([encode(b'{"id":%d}' % number) for number in ids]) for ids in segments])


def raw_bytes(body: bytes) -> int | None:
    return None if body.startswith(b"Obj") else len(gzip.decompress(body))


def ends(body: bytes, raw: int | None = None, url: str = URL) -> Ends:
    return Ends(url, body[-TAIL_BYTES:], len(body), raw_bytes(body) if raw is None else raw)


def joined(*shards: bytes) -> tuple[bytes, int]:
    """Join whole objects as a compaction does; return the object, and its length before compression."""
    joins = [join_of(URL, body) for body in shards]
    assert len(set(joins)) == 1
    bodies = [joins[0].body(ends(body)) for body in shards]
    join, closing = joins[0], joins[0].close(bodies)
    assert all(body.startswith(join.before) for body in shards)
    assert all(len(body) - part.stop == join.trailer_bytes for body, part in zip(shards, bodies, strict=True))
    pieces = [body[part.start : part.stop] for body, part in zip(shards, bodies, strict=True)]
    return join.before + join.between.join(pieces) + closing.after, closing.raw_bytes


def ids_of(body: bytes) -> list[int]:
    if body.startswith(b"Obj"):
        rows: list[Any] = list(fastavro.reader(io.BytesIO(body)))
        return [row["id"] for row in rows]
    text = strict_gunzip(body)
    records: list[Any] = json.loads(text) if text.startswith(b"[") else list(map(json.loads, text.splitlines()))
    return [record["id"] for record in records]


@pytest.mark.parametrize("format", [JSON_LINES, JSON_ARRAY, AVRO], ids=lambda format: format.name)
@given(shards=st.lists(LINES, min_size=1, max_size=4))
def test_joined_shards_hold_all_records_in_order(format: Format, shards: list[list[list[int]]]) -> None:
    parts = [shard(format, *segments) for segments in shards]
    body, raw = joined(*parts)
    assert ids_of(body) == [number for segments in shards for ids in segments for number in ids]
    if format is not AVRO:
        assert raw == len(gzip.decompress(body))
    # what is joined can be joined again
    again, _ = joined(body, parts[0])
    assert ids_of(again) == ids_of(body) + ids_of(parts[0])


def test_a_joined_file_is_what_one_join_of_all_segments_gives() -> None:
    segments = [JSON_LINES.cut([b'{"id":%d}' % number]) for number in range(6)]
    parts = [JSON_LINES.join(segments[:1]), JSON_LINES.join(segments[1:4]), JSON_LINES.join(segments[4:])]
    assert joined(*parts)[0] == JSON_LINES.join(segments)


def test_gzip_itself_takes_a_joined_file() -> None:
    body, _ = joined(shard(JSON_LINES, [1, 2]), shard(JSON_LINES, [3]))
    tested = subprocess.run(["gzip", "-t", "-v"], input=body, capture_output=True, check=False)
    assert tested.returncode == 0, tested.stderr


def test_lines_and_arrays_are_not_joined_with_each_other() -> None:
    assert join_of(URL, shard(JSON_LINES, [1])) == JsonJoin(JSON_LINES)
    assert join_of(URL, shard(JSON_ARRAY, [1])) == JsonJoin(JSON_ARRAY)


def test_avro_files_are_joined_only_if_their_headers_are_equal() -> None:
    other = AvroFormat(SCHEMA, codec="null")
    row = other.encoder(None)(b'{"id":1}')  # type: ignore[arg-type]
    assert join_of(URL, other.join([other.cut([row])])) != join_of(URL, shard(AVRO, [1]))
    assert join_of(URL, shard(AVRO, [2])) == join_of(URL, shard(AVRO, [1]))


def by_others() -> dict[str, bytes]:
    """Return objects that this package did not write, or that were changed since."""
    lines, ours = b'{"id":1}\n', shard(JSON_LINES, [1])
    avro = io.BytesIO()
    fastavro.writer(avro, fastavro.parse_schema(SCHEMA), [{"id": 1}], codec="deflate")
    array = shard(JSON_ARRAY, [1])
    return {
        "gzip of Python": gzip.compress(lines),
        "gzip of Python without a time": gzip.compress(lines, mtime=0),
        "two members": gzip.compress(lines) + gzip.compress(lines),
        "two of our members": ours + ours,
        "ours, and a member of others": ours + gzip.compress(lines, mtime=0),
        "no gzip": lines,
        "nothing": b"",
        "a header": ours[:10],
        "cut off": ours[:-1],
        "cut off within the trailer": ours[:-9],
        "a byte more": ours + b"\0",
        "an array without its end": array[:-20] + array[-10:],
        "avro of others": avro.getvalue(),
        "avro that is cut off": shard(AVRO, [1])[:-1],
        "avro's header alone": shard(AVRO, [1])[:30],
        "avro's magic number": b"Obj\x01",
        "avro with a length that leads back": b"Obj\x01\x02\x01" + b"\x01" * 40,
    }


@pytest.mark.parametrize("name", list(by_others()))
def test_what_others_wrote_is_refused(name: str) -> None:
    # the length of the records, as the run's record has it
    body = by_others()[name]
    found = ends(body, len(b'{"id":1}\n') * (2 if "members" in name else 1))
    with pytest.raises(
        S3BoxError, match=r"s3://b/k is not a shard as this package writes it .* write its records again"
    ):
        join_of(URL, body).body(found)


def test_without_a_length_a_large_file_is_refused() -> None:
    body = shard(JSON_LINES, [1])
    large = ends(body)._replace(size=2**23, raw_bytes=None)
    with pytest.raises(S3BoxError, match="its size before compression is not in the run's record"):
        JsonJoin(JSON_LINES).body(large)
    small = ends(body)._replace(raw_bytes=None)
    assert JsonJoin(JSON_LINES).body(small).raw_bytes == len(b'{"id":1}\n')
    # deflate makes a byte of 1,032 at most
    least = -(-(2**32) // 1032)
    assert JsonJoin(JSON_LINES).body(small._replace(size=least - 1)).raw_bytes == len(b'{"id":1}\n')
    with pytest.raises(S3BoxError, match="its size before compression is not in the run's record"):
        JsonJoin(JSON_LINES).body(large._replace(size=least))


@pytest.mark.parametrize("more", [1, 2**31, 2**32 - 1, 2**32 + 1])
def test_a_length_that_the_trailer_contradicts_is_refused(more: int) -> None:
    found = ends(shard(JSON_LINES, [1]))
    assert found.raw_bytes is not None
    with pytest.raises(S3BoxError, match=r"s3://b/k .*its trailer counts 9 bytes, and the run's record"):
        JsonJoin(JSON_LINES).body(found._replace(raw_bytes=found.raw_bytes + more))


@pytest.mark.parametrize("turns", [1, 2, 5])
def test_a_trailer_counts_modulo_4_gib(turns: int) -> None:
    found = ends(shard(JSON_LINES, [1]))
    assert found.raw_bytes is not None
    size = found.raw_bytes + turns * 2**32
    assert JsonJoin(JSON_LINES).body(found._replace(raw_bytes=size)).raw_bytes == size


def test_the_checksum_of_more_than_4_gib_is_right() -> None:
    one = JSON_LINES.cut([b'{"id":1}'])
    join = JsonJoin(JSON_LINES)
    size = 3 * 2**30
    body = join.body(ends(JSON_LINES.join([one])))._replace(raw_bytes=size, crc32=zero_crc(size))
    closing = join.close([body, body])
    assert closing.raw_bytes == 2 * size
    assert closing.after[2:6] == zero_crc(2 * size).to_bytes(4, "little")
    assert closing.after[6:] == (2 * size % 2**32).to_bytes(4, "little")


def zero_crc(size: int) -> int:
    """Return the CRC-32 of that many zeros, by doubling."""
    from zlib_ng import zlib_ng

    crc32, length = zlib_ng.crc32(b"\0" * 2**20), 2**20
    parts = size // length
    total, done = 0, 0
    while parts:
        if parts & 1:
            total = zlib_ng.crc32_combine(total, crc32, length) if done else crc32
            done += length
        crc32, length, parts = zlib_ng.crc32_combine(crc32, crc32, length), 2 * length, parts >> 1
    return total


def test_nothing_is_random() -> None:
    parts = [shard(JSON_LINES, [1]), shard(JSON_LINES, [2])]
    digests = {hashlib.sha256(joined(*parts)[0]).hexdigest() for _ in range(2)}
    assert len(digests) == 1
