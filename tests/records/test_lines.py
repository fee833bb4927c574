"""Lines out of bytes: the same however they are cut into reads, and bounded in memory where they have no end."""

from __future__ import annotations

import gzip
import io
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.encoding import TOO_LARGE, record_rules
from beam_s3box.records.lines import (
    MAX_LINE_BYTES,
    MAX_UNLIMITED_LINE_BYTES,
    cut_line_of,
    longest_line,
    split_lines,
)
from beam_s3box.records.routing import Router
from beam_s3box.records.selector import StreamSelector
from beam_s3box.records.streams import Stream
from beam_s3box.records.unpack import gunzip
from beam_s3box.sizes import KiB, MiB


def blocks_of(text: bytes, size: int) -> Iterator[bytes]:
    return (text[at : at + size] for at in range(0, len(text), size))


def lines_of(text: bytes, size: int, most: int) -> list[bytes]:
    return [line for batch in split_lines(blocks_of(text, size), max_line_bytes=most) for line in batch.lines]


def shortened(line: bytes) -> bytes:
    """Return the line, or the beginning that is kept of one that was cut."""
    cut = cut_line_of(line)
    return line if cut is None else cut.head


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.sampled_from([b"a", b" ", b"\t", b"bb", b"\r\n", b"\n", b"\n\n", b"c" * 9, b" " * 9]), max_size=12),
    st.integers(1, 12),
    st.integers(1, 12),
)
@example([b" " * 9, b"a"], 1, 3)
@example([b"c" * 9, b"\r\n", b"a"], 3, 9)
@example([b"c" * 9, b"\n", b"a"], 3, 9)
def test_every_line_comes_once_whole_or_as_its_beginning(parts: list[bytes], size: int, most: int) -> None:
    text = b"".join(parts)
    written = [line for line in text.split(b"\n") if line.strip()]
    expected = [line.removesuffix(b"\r") for line in written]
    batches = list(split_lines(blocks_of(text, size), max_line_bytes=most))
    found = [line for batch in batches for line in batch.lines]
    numbers = [number for batch in batches for number in batch.numbers]
    assert numbers == [number for number, line in enumerate(text.split(b"\n"), 1) if line.strip()]
    assert [shortened(line) for line in found] == expected
    assert all(len(was) > most for line, was in zip(found, written, strict=True) if cut_line_of(line) is not None)


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize("most", [5_000, 5_001])
def test_a_line_of_just_the_limit_is_whole(most: int, size: int) -> None:
    line = b"x" * 5_000
    assert lines_of(line + b"\n{}", size, most) == [line, b"{}"]
    cut = cut_line_of(lines_of(line + b"\n{}", size, 4_999)[0])
    assert cut is not None
    assert cut.head == line[:4096]


@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
def test_a_line_that_is_too_long_is_a_dead_letter_by_its_size_with_its_first_bytes(size: int) -> None:
    most = 20_000
    long = b'{"d":"a","text":"' + "é".encode() * most + b'"}'
    text = b'{"d":1}\n' + long + b'\r\n{"d":2}'
    router = Router(StreamSelector(domain_field="d", namespace="n"), record_rules(for_redshift=True))
    groups, rejected = router.route_lines(lines_of(text, size, most))
    if size > len(text):
        assert rejected == []  # nothing is saved by cutting what has been read
        return
    assert groups == {Stream("1", "n"): [b'{"d":1}'], Stream("2", "n"): [b'{"d":2}']}
    assert [(one.reason, one.detail, one.raw) for one in rejected] == [
        (TOO_LARGE, "a line of more than 20000 bytes; its first 4096 are kept", long[:4096])
    ]


@pytest.mark.parametrize(("size", "count"), [(256 * KiB, 400), (3, 400_000)], ids=["blocks", "crumbs"])
def test_a_line_without_end_takes_no_more_memory_than_the_limit(size: int, count: int) -> None:
    blocks = (bytes([120]) * size for _ in range(count))
    tracemalloc.start()
    try:
        lines = [line for batch in split_lines(blocks, max_line_bytes=MiB) for line in batch.lines]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(lines) == 1
    assert peak < 4 * MiB


def test_the_limit_lets_every_record_pass_that_may_be_written() -> None:
    assert longest_line(None) == MAX_UNLIMITED_LINE_BYTES
    assert longest_line(4_000_000) == MAX_LINE_BYTES
    assert longest_line(1 << 30) == (1 << 30) + 1
    record = b'{"d":"a"}'
    assert lines_of(record + b"\r\n", 1, len(record) + 1) == [record]


MEMBERS = [gzip.compress(text, mtime=0) for text in (b'{"i":1}\n', b"", b'{"i":2}\n' * 50, b'{"i":3}')]
PADDING = b"\0" * 20


@pytest.mark.parametrize("padding", [b"", PADDING])
@pytest.mark.parametrize("between", [b"", PADDING])
def test_members_and_padding_may_end_wherever_a_read_ends(between: bytes, padding: bytes) -> None:
    """A member that ends with a read is not the end of the file."""
    text = b"".join(gzip.decompress(member) for member in MEMBERS)
    body = between.join(MEMBERS) + padding
    ends = {sum(map(len, MEMBERS[:count])) + count * len(between) for count in range(1, 5)}
    for size in {*range(1, 60), *ends, *(end - 1 for end in ends), *(end + 1 for end in ends), len(body)} - {0}:
        assert b"".join(gunzip(io.BytesIO(body), "a.gz", size)) == text


@pytest.mark.parametrize("size", [*range(1, 40), 4096])
def test_a_file_that_is_cut_off_anywhere_is_an_error(size: int) -> None:
    body = b"".join(MEMBERS)
    whole = {sum(map(len, MEMBERS[:count])) for count in range(5)}
    for end in range(len(body)):
        if end not in whole:
            with pytest.raises(ConfigurationError, match=r"'a\.gz' ends in the middle"):
                list(gunzip(io.BytesIO(body[:end]), "a.gz", size))
