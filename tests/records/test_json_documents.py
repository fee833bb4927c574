"""Records out of JSON as people have it: the same however it is cut into reads, and never fewer in silence."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.json_documents import is_documents, split_documents
from beam_s3box.sizes import KiB, MiB


def documents(text: bytes, size: int = 1 << 20, most: int = 1 << 20, batch_bytes: int = 64) -> list[bytes]:
    blocks = (text[at : at + size] for at in range(0, len(text), size))
    batches = list(split_documents(blocks, batch_bytes, most, "data"))
    numbers = [number for batch in batches for number in batch.numbers]
    assert numbers == list(range(1, len(numbers) + 1))
    return [line for batch in batches for line in batch.lines]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def as_is(records: list[Any], indent: int | None) -> str:
    return "".join(json.dumps(record, indent=indent) for record in records)


def spaced(records: list[Any], indent: int | None) -> str:
    return " \r\n\t".join(json.dumps(record, indent=indent, ensure_ascii=False) for record in records)


def in_an_array(records: list[Any], indent: int | None) -> str:
    return json.dumps(records, indent=indent) + "\n"


def in_arrays(records: list[Any], indent: int | None) -> str:
    return "[]\n" + "".join(json.dumps([record], indent=indent) for record in records)


@settings(max_examples=300, deadline=None)
@given(
    records=st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=3), max_size=5),
    form=st.sampled_from([as_is, spaced, in_an_array, in_arrays]),
    indent=st.sampled_from([None, 0, 2]),
    size=st.integers(1, 40),
)
def test_every_record_comes_once(records: list[Any], form: Any, indent: int | None, size: int) -> None:
    text = form(records, indent).encode("utf-8", "surrogatepass")
    assert list(map(json.loads, documents(text, size))) == records


def test_numbers_stay_as_they_are_written() -> None:
    text = b'{"a": 1.10,\n "b": 12345678901234567890123, "c": 1E+5}'
    assert documents(text, 7) == [b'{"a":1.10,"b":12345678901234567890123,"c":1E+5}']
    assert documents(b'{"a": 1.10}{"b":2}') == [b'{"a": 1.10}', b'{"b":2}']


def test_what_ends_within_a_record_is_its_last_record_and_rejected_where_others_are() -> None:
    for size in range(1, 20):
        assert documents(b'{"id":1}{"id":', size) == [b'{"id":1}', b'{"id":']


@pytest.mark.parametrize("size", [5, 700, 1 << 20])
def test_half_of_a_character_is_for_its_record_alone(size: int) -> None:
    bad = [rb'{"a":"\ud83d"}', rb'{"\uDC00":[1,"x\\\ud800 "]}', rb'{"a":"\ud800\ud800"}']
    good = [b'{"i":1}', rb'{"a":"\ud83d\ude00 \\ud800"}', b'{"i":"%b"}' % (b"x" * 9_000)]
    records = [good[0], bad[0], good[1], bad[1], bad[2], good[2]]
    for many in (records, records[::-1]):
        assert documents(b"[\n" + b",\n".join(many) + b"\n]", size) == many
        assert documents(b"".join(many), size) == many
    assert documents(b'[{"a":"\\ud800",\n"b":1},{}]', size) == [rb'{"a":"\ud800", "b":1}', b"{}"]
    with pytest.raises(ConfigurationError, match=r"is no JSON at byte 21, in record 2: invalid character\. If"):
        documents(rb'[{"a":"\ud800"},{"a":oops}]', size)


def test_many_halves_of_characters_take_no_longer() -> None:
    text = b"[" + b",".join([rb'{"a":"\ud800"}'] * 50_000) + b"]"
    begin = time.process_time()
    assert len(documents(text)) == 50_000
    assert time.process_time() - begin < 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'[{"id":1}', "ends in the middle of its array: copy it again"),
        (b'[{"id":1},{"id":', "ends in the middle of its array: copy it again"),
        (b'[{"id":1},', "ends in the middle of its array: copy it again"),
        (b'{"id":1} oops', "is no JSON at byte 9, in record 2: "),
        (b'[{"id":1} {"id":2}]', "is no JSON at byte 10, in record 2: expected ',' or ']'"),
        (b'[{"id":1},]', "is no JSON at byte 10, in record 2: "),
        (b'{"id":1}\n{"id" 2}', "is no JSON at byte 15, in record 2: expected ':'"),
        (b'{"id":1},{"id":2}', "is no JSON at byte 8, in record 2: "),
        (b"[" * 5_000 + b"[", "is no JSON at byte|nested"),
        (b'{"id":"' + b"x" * 5_000 + b'"}', "has a record of more than 4000 bytes, at byte 0"),
    ],
)
def test_what_is_no_json_is_named_with_its_place(text: bytes, message: str) -> None:
    for size in (1, 3, 1_000):
        with pytest.raises(ConfigurationError, match=f"input='data' .*({message})"):
            documents(text, size, most=4_000)


def test_memory_is_bounded() -> None:
    document = b'{"text": "' + b"x" * 1_000 + b'"}\n,'

    def blocks() -> Any:
        yield b"["
        for _ in range(200):
            yield document * 256
        yield document[:-1] + b"]"

    tracemalloc.start()
    try:
        count = sum(len(batch.lines) for batch in split_documents(blocks(), 512 * KiB, MiB, "data"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 200 * 256 + 1
    assert peak < 4 * MiB


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"id":1}\n{"id":2}\n', False),
        (b'{"id":1}\n', False),
        (b'  \n{"id":1}', False),
        (b'{"id":1}\r\n{"id":2}', False),
        (b'{"id":1}{"id":2}', True),
        (b'{"id":1} {"id":2}\n{"id":3}', True),
        (b'{\n  "id": 1\n}\n', True),
        (b'{\n  "id": 1,', True),
        (b'[{"id":1},{"id":2}]\n', True),
        (b'[\n{"id":1},\n', True),
        (b'[{"id":1},{"id"', True),
        (b'{"id":', False),
        (b"[1,2]\n[3]\n", False),
        (b'{"id":1} oops\n{"id":2}\n', False),
        (b'[\n{"id":"\\ud800"},\n{"id":2}\n]\n', True),
        (b'{"id":"\\ud800"}\n{"id":2}\n', False),
        (b'[\n{"id":1}, // one\n{"id":2}\n]\n', True),
        (b'[\n{"id":1}\n{"id":2}\n]\n', True),
        (b'[{"id":1},{id:2}]\n', True),
        (b'{\n "id": NaN\n}\n', True),
        (b'{"a": NaN,\n "b": [\n  {"c": 1}\n ]\n}\n', True),
        (b"{'id':1}\n{'id':2}\n", False),
        (b"{'id':1}\n", False),
        (b'{"id":NaN}\n{"id":2}\n', False),
        (b"[2026-01-02] begin\n[2026-01-02] end\n", False),
        (b'{"id":"cut\n{"id":2}\n', False),
        (b'{"id":\n{"id":2}\n{"id":3}\n', False),
        (b"id,name\n1,Ann\n", False),
        (b"", False),
    ],
)
def test_what_is_told_by_the_first_bytes(text: bytes, expected: bool) -> None:
    assert is_documents(text) is expected
