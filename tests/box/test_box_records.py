"""S3Box with a store in memory: every packed record is in the listed shards once; rejected records leave no trace."""

from __future__ import annotations

import collections
import dataclasses
import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_s3box.box import S3Box
from beam_s3box.errors import NotAnObjectError, RecordError
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from tests.box.packed_rows import ids, listed, rows


def test_records_of_a_shard_keep_their_order(store: MemoryStore) -> None:
    with S3Box(store, buffer_size=3_000) as box:
        for number, row in enumerate(rows(400)):
            box.pack(row) if number % 3 else box.pack_many([row])
    shards = [gzip.decompress(store.get(file.key)).splitlines() for file in box.shards]
    assert len(shards) > 3
    for lines in shards:
        numbers = [json.loads(line)["i"] for line in lines]
        assert numbers == sorted(numbers)


ROW: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(), st.booleans(), st.none()), max_size=4),
    st.just({}),
)
NOT_ROWS = st.sampled_from([None, 5, "[1]", b"5", b"", b"\xff", '{"a":1}{"b":2}', [{"a": 1}], {"a": object()}])


@settings(max_examples=60, deadline=None)
@given(
    batches=st.lists(st.tuples(st.sampled_from(["dict", "bytes", "text", "many", "bad"]), st.lists(ROW, max_size=9))),
    buffer_size=st.integers(1, 400),
    records=st.one_of(st.none(), st.integers(1, 7)),
    object_bytes=st.integers(64, 300),
    count=st.integers(1, 6),
    bad=NOT_ROWS,
)
def test_every_packed_record_is_in_the_listed_shards_once(
    batches: list[tuple[str, list[Any]]], buffer_size: int, records: int | None, object_bytes: int, count: int, bad: Any
) -> None:
    store = MemoryStore(new_token(12))
    expected: list[Any] = []
    # NUL, which Redshift rejects, is tested elsewhere
    kept = [
        (how, [row for row in batch if "\0" not in repr(row) and "\\x00" not in repr(row)]) for how, batch in batches
    ]
    with S3Box(store, buffer_size=buffer_size, max_records=records, max_object_bytes=object_bytes) as box:
        for how, batch in kept:
            lines = [json.dumps(row, ensure_ascii=False).encode("utf-8") for row in batch]
            if how == "many":
                assert box.pack_many(lines) == len(lines)
            elif how == "bad":
                with pytest.raises(NotAnObjectError, match=f"first {len(batch)} row"):
                    box.pack_many([*batch, bad, {"never": 1}])
            for row, line in zip(batch, lines, strict=True):
                if how == "dict":
                    box.pack(row)
                elif how in ("bytes", "text"):
                    box.pack(line if how == "bytes" else line.decode("utf-8"))
            expected += batch
    keys = box.create_manifests("m", count)
    found = listed(store, keys)
    assert collections.Counter(map(canonical, found)) == collections.Counter(map(canonical, expected))
    assert len(keys) == min(count, len(box.shards))
    for shard in box.shards:
        assert shard.records <= (records or shard.records)
        alone = shard.records == 1
        assert shard.raw_bytes <= buffer_size or alone
        assert shard.object_bytes <= object_bytes or alone
    assert box.stats.records == len(expected)
    assert box.stats.pending == 0


def canonical(record: Any) -> str:
    return json.dumps(record, sort_keys=True)


@pytest.mark.parametrize(
    "record",
    [b"[1]", "5", '"text"', "null", b"", b"{", b'{"a":1}{"b":2}', b'{"a":NaN}', b"\xff", b'{"a":"\xff"}', None, 5, 1.5,
     [1], [("a", 1)], object(), {"a": object()}, {"a": {1, 2}}, {"a": "\ud800"}, '{"a": "\ud800"}', (1, 2)],
)  # fmt: skip
def test_everything_but_an_object_changes_nothing(store: MemoryStore, record: Any) -> None:
    box = S3Box(store)
    box.pack({"i": 0})
    before = box.stats
    with pytest.raises(NotAnObjectError) as caught:
        box.pack(record)
    assert isinstance(caught.value, RecordError)
    assert caught.value.reason in str(caught.value)
    assert box.stats == before
    box.pack({"i": 1})
    assert ids(listed(store, box.create_manifests("m"))) == [0, 1]


@pytest.mark.parametrize(
    ("record", "reason"),
    [({"a": "x" * 4_000_000}, "too-large"), ({"a": "\0"}, "nul-character"), (b'{"a":"\\u0000"}', "nul-character"),
     ({"a": "|" * 2_000_001}, "too-large")],
)  # fmt: skip
def test_an_object_that_redshift_would_refuse_is_refused(store: MemoryStore, record: Any, reason: str) -> None:
    box = S3Box(store)
    with pytest.raises(RecordError, match=reason) as caught:
        box.pack(record)
    assert caught.value.reason == reason
    assert not isinstance(caught.value, NotAnObjectError), "it is an object"
    assert box.stats.records == 0
    assert box.create_manifests("m") == []


def test_a_shorter_limit_for_records(store: MemoryStore) -> None:
    box = S3Box(store, max_record_bytes=20)
    box.pack({"a": "x" * 10})
    with pytest.raises(RecordError, match="max_record_bytes=20"):
        box.pack({"a": "x" * 20})
    with pytest.raises(RecordError, match="max_record_bytes=20"):
        box.pack({"a": "|" * 10})


def test_lines_may_be_broken_and_come_as_from_a_file(store: MemoryStore) -> None:
    box = S3Box(store)
    lines = [json.dumps(row).encode() + b"\n" for row in rows(5_000)]
    lines[7] = lines[7].strip() + b"\r\n"
    lines[-1] = lines[-1].strip()
    assert box.pack_many(lines) == 5_000
    box.pack('{\n  "i": 5000\n}\n')
    assert ids(listed(store, box.create_manifests("m"))) == list(range(5_001))


def test_other_mappings_are_objects_too(store: MemoryStore) -> None:
    @dataclasses.dataclass
    class Row:
        i: int

    box = S3Box(store)
    box.pack(Row(1))
    box.pack(collections.OrderedDict(i=2))
    assert box.pack_many([Row(3), b'{"i":4}', '{"i":5}', {"i": 6}]) == 4
    assert ids(listed(store, box.create_manifests("m"))) == [1, 2, 3, 4, 5, 6]


def test_what_the_rows_raise_leaves_those_before_packed(store: MemoryStore) -> None:
    def failing() -> Iterator[bytes]:
        yield b'{"i":0}'
        yield b'{"i":1}'
        raise OSError("the disk is gone")

    box = S3Box(store)
    with pytest.raises(OSError, match="disk") as caught:
        box.pack_many(failing())
    assert caught.value.__notes__ == ["pack_many packed the first 2 row(s) and no other"]
    assert ids(listed(store, box.create_manifests("m"))) == [0, 1]


def test_pack_many_takes_nothing_after_a_bad_line(store: MemoryStore) -> None:
    box = S3Box(store)
    with pytest.raises(NotAnObjectError) as caught:
        box.pack_many([b'{"i":0}\n', b'{"i":1}\n', b"oops\n", b'{"i":3}\n'])
    assert caught.value.__notes__ == ["pack_many packed the first 2 row(s) and no other"]
    assert box.stats.records == 2
