from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_s3box.sources.kinesis.aggregates import unpacked
from tests.sources.kinesis.aggregated import MAGIC, field, packed, varint

RECORDS = [("a", b'{"i":1}'), ("b", b""), ("a", b"x" * 300)]


def test_what_the_producer_library_packed_is_unpacked_in_order() -> None:
    assert unpacked(packed(*RECORDS)) == RECORDS


@given(st.lists(st.tuples(st.text(min_size=1, max_size=200), st.binary(max_size=300)), min_size=1, max_size=300))
def test_any_records_come_back(records: list[tuple[str, bytes]]) -> None:
    assert unpacked(packed(*records)) == records


def test_bytes_that_the_library_wrote() -> None:
    """As in its documentation of the format, written out by hand."""
    message = b"\x0a\x01k" + b"\x1a\x05\x08\x00\x1a\x01A" + b"\x1a\x05\x08\x00\x1a\x01B"
    assert unpacked(MAGIC + message + hashlib.md5(message).digest()) == [("k", b"A"), ("k", b"B")]


@pytest.mark.parametrize(
    "data",
    [
        b'{"i":1}',
        b"",
        MAGIC,
        packed(*RECORDS)[:-1] + b"?",
        packed(*RECORDS)[:-20],
        b"?" + packed(*RECORDS)[1:],
    ],
)
def test_what_is_not_packed_is_left_as_it_is(data: bytes) -> None:
    """Also where the digest does not fit: nobody else would take it for packed."""
    assert unpacked(data) is None


@pytest.mark.parametrize(
    "message",
    [
        field(3, field(3, b"no key")),
        b"\x1a\x7f",
        b"\x0a",
        varint(3 << 3 | 3) + b"group",
        field(1, b"\xff") + field(3, b""),
    ],
)
def test_a_message_with_a_right_digest_that_is_none_is_left_as_it_is(message: bytes) -> None:
    assert unpacked(MAGIC + message + hashlib.md5(message).digest()) is None


def test_fields_that_later_versions_may_add_are_passed() -> None:
    more = varint(9 << 3 | 1) + b"12345678" + varint(10 << 3 | 5) + b"1234" + varint(11 << 3) + b"\x07"
    message = more + field(1, b"k") + field(3, more + field(3, b"A"))
    assert unpacked(MAGIC + message + hashlib.md5(message).digest()) == [("k", b"A")]
