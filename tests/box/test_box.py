"""S3Box with a store in memory: every packed record is in the listed shards once; rejected records leave no trace."""

from __future__ import annotations

import collections
import dataclasses
import gzip
import inspect
import json
import pickle
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_s3box.box import S3Box
from beam_s3box.errors import (
    BoxSealedError,
    ConfigurationError,
    NotAnObjectError,
    ObjectExistsError,
    RecordError,
    S3BoxError,
)
from beam_s3box.formats import JSON_LINES
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore, Store
from tests.readback import strict_gunzip


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(new_token(12))


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"i": i, "pad": f"{i * 7919:x}" * 5} for i in range(start, start + count)]


def entries(store: Store, keys: list[str]) -> list[dict[str, Any]]:
    return [entry for key in keys for entry in json.loads(store.get(key))["entries"]]


def listed(store: Store, keys: list[str]) -> list[dict[str, Any]]:
    """Return the records of the shards that the manifests list, checking every entry."""
    found = entries(store, keys)
    assert len({entry["url"] for entry in found}) == len(found), "a shard is listed twice"
    records: list[dict[str, Any]] = []
    for entry in found:
        body = store.get(entry["url"].removeprefix(store.root + "/"))
        lines = strict_gunzip(body).splitlines()
        assert entry["mandatory"] is True
        assert entry["meta"] == {"content_length": len(body), "record_count": len(lines)}
        records += map(json.loads, lines)
    return records


def ids(records: list[dict[str, Any]]) -> list[int]:
    return sorted(record["i"] for record in records)


def test_pack_seal_and_manifests(store: MemoryStore) -> None:
    with S3Box(store, buffer_size=2_000) as box:
        for row in rows(500):
            box.pack(row)
    keys = box.create_manifests("data_locations", 2)
    assert keys == ["data_locations_0.manifest", "data_locations_1.manifest"]
    assert ids(listed(store, keys)) == list(range(500))
    assert len(list(store.list("data/"))) == len(entries(store, keys)) > 5
    assert box.url(keys[0]) == f"{store.root}/data_locations_0.manifest"


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


def test_sealing(store: MemoryStore) -> None:
    box = S3Box(store)
    box.pack({"i": 0})
    box.seal()
    box.seal()
    for again in (lambda: box.pack({"i": 1}), lambda: box.pack_many([{"i": 1}])):
        with pytest.raises(BoxSealedError, match="next_box"):
            again()
    assert box.stats.shards == 1
    assert ids(listed(store, box.create_manifests("m"))) == [0]
    with pytest.raises(BoxSealedError):
        box.pack({"i": 1})


def test_an_empty_box(store: MemoryStore) -> None:
    with S3Box(store) as box:
        assert box.pack_many([]) == 0
    assert box.create_manifests("m", 3) == []
    assert list(store.list()) == []
    assert box.stats == (0, 0, 0, 0, 0, 0)


def test_no_more_manifests_than_shards_and_all_about_equal(store: MemoryStore) -> None:
    box = S3Box(store, max_records=10)
    box.pack_many(rows(95))
    keys = box.create_manifests("folder/m", 4)
    assert keys == [f"folder/m_{i}.manifest" for i in range(4)]
    assert sorted(len(entries(store, [key])) for key in keys) == [2, 2, 3, 3]
    few = box.next_box()
    few.pack({"i": 1})
    assert few.create_manifests("few", 9) == ["few_0.manifest"]


def test_the_same_manifests_again_and_no_others(store: MemoryStore) -> None:
    box = S3Box(store, max_records=10)
    box.pack_many(rows(30))
    keys = box.create_manifests("m", 2)
    bodies = [store.get(key) for key in keys]
    assert box.create_manifests("m", 2) == keys
    assert [store.get(key) for key in keys] == bodies
    for arguments in (("m", 3), ("other", 2), ("m",)):
        with pytest.raises(ConfigurationError, match="twice"):
            box.create_manifests(*arguments)
    assert len(list(store.list("m"))) == 2
    assert list(store.list("other")) == []


def test_another_boxs_manifests_are_not_replaced(store: MemoryStore) -> None:
    first = S3Box(store)
    first.pack({"i": 1})
    [key] = first.create_manifests("m")
    second = first.next_box()
    second.pack({"i": 2})
    with pytest.raises(ObjectExistsError, match="another box"):
        second.create_manifests("m")
    assert ids(listed(store, [key])) == [1]
    assert ids(listed(store, second.create_manifests("m2"))) == [2]


@pytest.mark.parametrize(
    "key", ["s3://bucket/key", "/key", "key/", "", "../key", "a/../b", "a//b", "./a", "data/m", "runs/m", "a\nb", 5]
)
def test_a_manifests_key_is_relative_and_clean(store: MemoryStore, key: Any) -> None:
    box = S3Box(store)
    box.pack({"i": 1})
    with pytest.raises(ConfigurationError, match="key="):
        box.create_manifests(key)
    box.pack({"i": 2})  # the box is not even sealed


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "2", None])
def test_a_number_of_manifests_is_a_whole_number(store: MemoryStore, count: Any) -> None:
    with pytest.raises(ConfigurationError, match="count="):
        S3Box(store).create_manifests("m", count)


def test_an_array_has_no_manifests(store: MemoryStore) -> None:
    with S3Box(store, format="json-array", buffer_size=100) as box:
        box.pack_many(rows(20))
    found = [record for shard in box.shards for record in json.loads(gzip.decompress(store.get(shard.key)))]
    assert ids(found) == list(range(20))
    assert box.stats.raw_bytes > 0
    with pytest.raises(ConfigurationError, match="json-lines"):
        box.create_manifests("m")


def test_the_next_box_knows_nothing_of_the_last(store: MemoryStore) -> None:
    box = S3Box(store, max_records=3, domain="web", namespace="clicks")
    box.pack_many(rows(5))
    after = box.next_box()
    assert after.stats.records == 0
    assert after.run_id != box.run_id
    after.pack_many(rows(4, start=5))
    assert ids(listed(store, after.create_manifests("after"))) == [5, 6, 7, 8]
    assert ids(listed(store, box.create_manifests("before"))) == [0, 1, 2, 3, 4]
    assert [shard.records for shard in after.next_box().shards] == []
    assert all(info.key.startswith("data/web/clicks/") for info in store.list("data/"))
    assert len(box.shards) == len(after.shards) == 2, "the settings went along"


def test_stats_tell_what_happened(store: MemoryStore) -> None:
    box = S3Box(store)
    box.pack({"i": 1})
    assert (box.stats.records, box.stats.raw_bytes, box.stats.pending, box.stats.shards) == (1, len('{"i":1}\n'), 1, 0)
    box.seal()
    [info] = store.list("data/")
    assert box.stats == (1, 8, info.size, 1, 0, 0)


@pytest.mark.parametrize("many", [False, True])
def test_many_threads_lose_nothing(store: MemoryStore, many: bool) -> None:
    box = S3Box(store, buffer_size=5_000)
    start = threading.Barrier(8)

    def work(number: int) -> None:
        start.wait()
        part = rows(500, start=number * 500)
        if many:
            box.pack_many(part)
        else:
            for row in part:
                box.pack(row)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    keys = box.create_manifests("m", 3)
    assert ids(listed(store, keys)) == list(range(4_000))
    assert box.stats.records == 4_000


def test_threads_that_seal_and_pack_agree_on_what_was_packed(store: MemoryStore) -> None:
    box = S3Box(store, buffer_size=500)
    packed: list[int] = []

    def work(number: int) -> None:
        for row in rows(2_000, start=number * 2_000):
            try:
                box.pack(row)
            except BoxSealedError:
                return
            packed.append(row["i"])
            if row["i"] == 2_300:
                box.seal()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert ids(listed(store, box.create_manifests("m"))) == sorted(packed)


def test_many_threads_that_ask_for_manifests_get_the_same(store: MemoryStore) -> None:
    box = S3Box(store, max_records=10)
    box.pack_many(rows(100))
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: box.create_manifests("m", 3), range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert ids(listed(store, answers[0])) == list(range(100))


def test_a_with_left_by_an_exception_publishes_nothing_and_says_what_exists(store: MemoryStore) -> None:
    with pytest.raises(KeyError) as caught, S3Box(store, max_records=10) as box:  # noqa: PT012 - the `with` is what is tested
        box.pack_many(rows(101))
        raise KeyError("mine")
    [note] = caught.value.__notes__
    assert "published nothing" in note
    shards = [store.url(info.key) for info in store.list("data/")]
    assert all(url in note for url in shards)
    assert list(store.list("m")) == []
    for call in (box.seal, lambda: box.create_manifests("m"), lambda: box.pack({"i": 1})):
        with pytest.raises(BoxSealedError, match="KeyError"):
            call()
    box.next_box().pack({"i": 1})


def test_a_with_left_by_an_exception_after_the_manifests(store: MemoryStore) -> None:
    with pytest.raises(KeyError) as caught, S3Box(store) as box:  # noqa: PT012 - the `with` is what is tested
        box.pack({"i": 1})
        keys = box.create_manifests("m")
        raise KeyError("mine")
    assert "had published its manifests before: m_0.manifest" in caught.value.__notes__[0]
    assert box.create_manifests("m") == keys


class BrokenFormat:
    """A format that fails after some segments."""

    def __init__(self, good: int) -> None:
        self._good = good

    def __getattr__(self, name: str) -> Any:
        return getattr(JSON_LINES, name)

    def cut(self, lines: Any, records: Any = None) -> Any:
        self._good -= 1
        if self._good < 0:
            raise OverflowError("no more")
        return JSON_LINES.cut(lines, records)


def test_a_box_whose_records_broke_off_on_the_way_never_publishes(store: MemoryStore) -> None:
    box = S3Box(store, max_records=1, format=BrokenFormat(3))
    with pytest.raises((OverflowError, BoxSealedError)):  # noqa: PT012 - any of these calls may be the one
        for row in rows(1_000):
            box.pack(row)
        box.seal()
    for call in (box.seal, lambda: box.create_manifests("m"), lambda: box.pack({"i": 1})):
        with pytest.raises(BoxSealedError, match="OverflowError: no more"):
            call()


@pytest.mark.parametrize("kind", [BoxSealedError, NotAnObjectError])
def test_errors_survive_a_pickle_and_a_rebuild(kind: type[S3BoxError]) -> None:
    assert issubclass(kind, S3BoxError)
    assert str(kind()) == ""
    for again in (pickle.loads(pickle.dumps(kind("message"))), type(kind("x"))("message")):
        assert type(again) is kind
        assert str(again) == "message"
    assert pickle.loads(pickle.dumps(NotAnObjectError("m", "not-json"))).reason == "not-json"


@pytest.mark.parametrize("module", ["box", "streamer"])
def test_importing_loads_neither_beam_nor_boto3(module: str) -> None:
    program = (
        f"import sys, beam_s3box.{module}; print([n for n in ('apache_beam', 'boto3', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_argument_is_described() -> None:
    described = inspect.getdoc(S3Box) or ""
    for name in list(inspect.signature(S3Box).parameters)[1:]:
        assert re.search(rf"\b{name}\b", described.partition("Args:")[2]), name


def test_the_compression_level_of_a_box_is_kept_in_its_record() -> None:
    sizes = []
    for level in (1, 8):
        store = MemoryStore(new_token(12))
        with S3Box(store, compression_level=level) as box:
            box.pack_many(rows(5_000))
        [shard] = box.shards
        sizes.append(shard.object_bytes)
        [record] = [json.loads(store.get(info.key)) for info in store.list("runs/") if info.key.count("/") == 1]
        assert record["settings"]["compression_level"] == level
    assert sizes[0] > sizes[1]


def test_a_compression_level_that_is_none() -> None:
    with pytest.raises(ConfigurationError, match="compression_level=10 must be a whole number from 1 to 9"):
        S3Box(MemoryStore("x"), compression_level=10)
