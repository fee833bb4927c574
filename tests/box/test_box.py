"""S3Box with a store in memory: from its first record to the seal, the next box, and a `with` left by an exception."""

from __future__ import annotations

import inspect
import json
import pickle
import re
import subprocess
import sys
from typing import Any

import pytest

from beam_s3box.box import S3Box
from beam_s3box.errors import BoxSealedError, ConfigurationError, NotAnObjectError, S3BoxError
from beam_s3box.formats import JSON_LINES
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from tests.box.packed_rows import entries, ids, listed, rows


def test_pack_seal_and_manifests(store: MemoryStore) -> None:
    with S3Box(store, buffer_size=2_000) as box:
        for row in rows(500):
            box.pack(row)
    keys = box.create_manifests("data_locations", 2)
    assert keys == ["data_locations_0.manifest", "data_locations_1.manifest"]
    assert ids(listed(store, keys)) == list(range(500))
    assert len(list(store.list("data/"))) == len(entries(store, keys)) > 5
    assert box.url(keys[0]) == f"{store.root}/data_locations_0.manifest"


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
