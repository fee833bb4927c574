"""Manifests of an S3Box: how many, under which keys, and the same ones when they are asked for again."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from beam_s3box.box import S3Box
from beam_s3box.errors import ConfigurationError, ObjectExistsError
from beam_s3box.stores import MemoryStore
from tests.box.packed_rows import entries, ids, listed, rows


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
