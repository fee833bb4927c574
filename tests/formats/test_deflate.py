"""Gzip files made of pieces: each piece stands alone, and the trailer is right at every length."""

from __future__ import annotations

import concurrent.futures
import gzip
import itertools
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zlib_ng import zlib_ng

from beam_s3box.formats.deflate import HEADER, TRAILER_BYTES, compress, join, store
from beam_s3box.shards.model import Segment
from beam_s3box.sizes import MiB


def inflate(data: bytes) -> bytes:
    return zlib.decompressobj(-15).decompress(data)


def trailer(body: bytes) -> tuple[int, int]:
    return int.from_bytes(body[-8:-4], "little"), int.from_bytes(body[-4:], "little")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 9))
def test_a_segment_is_whole_by_itself(raw: bytes, level: int) -> None:
    segment = compress(raw, 3, level)
    reader = zlib.decompressobj(-15)
    assert reader.decompress(segment.data) == raw
    assert not reader.eof, "a final block would end the file here"
    assert segment == Segment(segment.data, zlib.crc32(raw), len(raw), 3)
    assert compress(raw, 3, level) == segment


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=60), st.booleans()), max_size=8))
def test_pieces_in_any_row_are_one_file(pieces: list[tuple[bytes, bool]]) -> None:
    body = join(store(raw) if stored else compress(raw, 1) for raw, stored in pieces)
    whole = b"".join(raw for raw, _ in pieces)
    assert gzip.decompress(body) == whole
    reader = zlib.decompressobj(31)
    assert reader.decompress(body) == whole
    assert reader.eof
    assert not reader.unused_data
    assert trailer(body) == (zlib.crc32(whole), len(whole))
    assert body.startswith(HEADER)
    assert len(body) >= len(HEADER) + TRAILER_BYTES


def test_any_order_is_a_file_because_no_piece_refers_back() -> None:
    texts = [b'{"user":"anna"}\n' * 50, b'{"user":"anna","x":1}\n' * 50, b"other"]
    segments = [compress(text, 1) for text in texts]
    for order in itertools.permutations(range(3)):
        assert gzip.decompress(join(segments[i] for i in order)) == b"".join(texts[i] for i in order)


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 65_535])
def test_stored_bytes_have_a_known_size(size: int) -> None:
    raw = bytes(i % 251 for i in range(size))
    segment = store(raw)
    assert inflate(segment.data) == raw
    assert len(segment.data) == (5 + size if size else 0)
    assert (segment.crc32, segment.raw_bytes, segment.records) == (zlib.crc32(raw), size, 0)


def test_more_than_a_stored_block_holds_is_rejected() -> None:
    with pytest.raises(OverflowError):
        store(bytes(65_536))


def test_nothing_at_all_is_an_empty_file() -> None:
    assert gzip.decompress(join([])) == b""
    assert len(join([])) == len(HEADER) + TRAILER_BYTES


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_the_length_is_counted_modulo_two_to_the_32(over: int) -> None:
    """4 GiB of zeros in 4 MB: the length wraps, the checksum does not."""
    block = compress(bytes(MiB), 1)
    rest = compress(b"x" * (MiB + over), 1)
    body = join([*[block] * 4095, rest])
    assert trailer(body)[1] == over % 2**32
    crc32 = 0
    zeros = bytes(MiB)
    for _ in range(4095):
        crc32 = zlib_ng.crc32(zeros, crc32)
    assert trailer(body)[0] == zlib_ng.crc32(b"x" * (MiB + over), crc32)


def test_threads_may_compress_at_once() -> None:
    texts = [bytes([i % 256]) * 50_000 + b"end" for i in range(32)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        segments = list(pool.map(lambda text: compress(text, 1), texts))
    assert segments == [compress(text, 1) for text in texts]
    assert gzip.decompress(join(segments)) == b"".join(texts)
