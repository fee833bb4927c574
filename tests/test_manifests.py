"""Manifests: every shard once, balanced, in the form that COPY reads, written once."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_s3box.errors import ConfigurationError, RunExistsError, TransientStoreError
from beam_s3box.layout import Layout
from beam_s3box.manifests import (
    ManifestPlan,
    Manifests,
    plan_manifests,
    render_manifest,
    rewrite_manifest,
    split_evenly,
    write_manifest,
)
from beam_s3box.runs import new_token
from beam_s3box.shards import ShardFile
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.streams import Stream
from beam_s3box.testing import FailingStore

STREAM = Stream("web", "clicks")


def shard(number: int, object_bytes: int = 1000) -> ShardFile:
    url = f"s3://bucket/data/web/clicks/{number:05d}.json.gz"
    return ShardFile(
        "web", "clicks", "", url, url.removeprefix("s3://bucket/"), 10, 5000, object_bytes, "ab", "records"
    )


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(new_token(12))


@given(sizes=st.lists(st.integers(20, 10**9), max_size=60), count=st.integers(1, 12), seed=st.randoms())
def test_no_shard_is_listed_twice_or_missing_and_the_order_does_not_matter(
    sizes: list[int], count: int, seed: object
) -> None:
    files = [shard(number, size) for number, size in enumerate(sizes)]
    lists = split_evenly(files, count)
    assert len(lists) == min(count, len(files))
    assert all(lists)
    assert sorted(file for part in lists for file in part) == sorted(files)
    shuffled = list(files)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    assert split_evenly(shuffled, count) == lists


@given(sizes=st.lists(st.integers(1, 10**6), min_size=1, max_size=60), count=st.integers(1, 12))
def test_bytes_are_balanced_to_within_the_largest_shard(sizes: list[int], count: int) -> None:
    lists = split_evenly([shard(number, size) for number, size in enumerate(sizes)], count)
    loads = [sum(file.object_bytes for file in part) for part in lists]
    assert max(loads) - min(loads) <= max(sizes)


@given(shards=st.integers(0, 200), count=st.integers(1, 20))
def test_shards_of_one_size_are_never_more_than_one_apart(shards: int, count: int) -> None:
    lengths = [len(part) for part in split_evenly([shard(number) for number in range(shards)], count)]
    assert len(lengths) == min(count, shards)
    assert not lengths or max(lengths) - min(lengths) <= 1


def test_the_text_is_what_copy_reads() -> None:
    text = render_manifest([shard(1, 111), shard(2, 222)])
    assert json.loads(text.decode("utf-8")) == {
        "entries": [
            {
                "url": "s3://bucket/data/web/clicks/00001.json.gz",
                "mandatory": True,
                "meta": {"content_length": 111, "record_count": 10},
            },
            {
                "url": "s3://bucket/data/web/clicks/00002.json.gz",
                "mandatory": True,
                "meta": {"content_length": 222, "record_count": 10},
            },
        ]
    }


def test_nothing_to_list_means_no_manifest() -> None:
    assert plan_manifests(STREAM, "", 0, [], 3) == []


def test_a_manifest_says_what_it_lists(store: MemoryStore) -> None:
    [first, second] = plan_manifests(STREAM, "w", 1, [shard(1), shard(2), shard(3)], 2)
    manifest = write_manifest(store, Layout("run"), first)
    assert (manifest.domain, manifest.namespace, manifest.window, manifest.pane) == ("web", "clicks", "w", 1)
    assert (manifest.shards, manifest.records, manifest.raw_bytes, manifest.object_bytes) == (2, 20, 10000, 2000)
    assert manifest.key == "manifests/run/web/clicks/w/1-00000-of-00002.manifest"
    assert manifest.url == store.url(manifest.key)
    assert len(json.loads(store.get(manifest.key))["entries"]) == 2
    assert write_manifest(store, Layout("run"), second).shards == 1


def test_writing_the_same_manifest_again_succeeds_and_another_is_refused(store: MemoryStore) -> None:
    [plan] = plan_manifests(None, "", 0, [shard(1)], 1)
    assert write_manifest(store, Layout("run"), plan) == write_manifest(store, Layout("run"), plan)
    [other] = plan_manifests(None, "", 0, [shard(2)], 1)
    with pytest.raises(RunExistsError, match=r"run_id='run' already wrote manifests.*use a new run_id"):
        write_manifest(store, Layout("run"), other)
    assert json.loads(store.get("manifests/run/0-00000-of-00001.manifest"))["entries"][0]["url"].endswith(
        "00001.json.gz"
    )


def test_a_manifest_that_is_written_again_replaces_where_asked(store: MemoryStore) -> None:
    [plan] = plan_manifests(None, "", 0, [shard(1)], 1)
    [other] = plan_manifests(None, "", 0, [shard(2), shard(3)], 1)
    rewrite_manifest(store, Layout("run"), plan, 1)
    manifest = rewrite_manifest(store, Layout("run"), other, 1)
    assert (manifest.key, manifest.shards) == ("manifests/run/0-00000-of-00001.manifest", 2)
    assert [info.key for info in store.list()] == [manifest.key]
    assert [entry["url"][-13:] for entry in json.loads(store.get(manifest.key))["entries"]] == [
        "00002.json.gz",
        "00003.json.gz",
    ]


WINDOW = "20261122T101500Z-20261122T101600Z"
OTHER_WINDOW = "20261122T101600Z-20261122T101700Z"


def fire(store: MemoryStore, pane: int, *numbers: int, window: str = WINDOW, count: int = 1) -> None:
    """Write the manifests of one firing of an unbounded run."""
    for plan in plan_manifests(STREAM, window, pane, map(shard, numbers), count):
        rewrite_manifest(store, Layout("run"), plan, count)


def listed(store: MemoryStore) -> dict[str, list[str]]:
    return {
        "/".join(info.key.split("/")[-2:]).removesuffix(".manifest"): [
            entry["url"][-13:-8] for entry in json.loads(store.get(info.key))["entries"]
        ]
        for info in store.list("manifests/")
    }


def test_firings_that_were_rolled_back_are_withdrawn(store: MemoryStore) -> None:
    """After a restore the same records fall into fewer firings: the last of the earlier ones would list them again."""
    for pane in range(4):
        fire(store, pane, pane)
    fire(store, 1, 4, window=OTHER_WINDOW)
    fire(store, 0, 5, window="")
    fire(store, 2, 2, 3)
    assert listed(store) == {
        "clicks/0-00000-of-00001": ["00005"],
        f"{WINDOW}/0-00000-of-00001": ["00000"],
        f"{WINDOW}/1-00000-of-00001": ["00001"],
        f"{WINDOW}/2-00000-of-00001": ["00002", "00003"],
        f"{OTHER_WINDOW}/1-00000-of-00001": ["00004"],
    }
    fire(store, 0, 6, window="")
    assert len(listed(store)) == 5, "the global window's manifests lie above those of other windows"


def test_a_firing_that_is_only_retried_withdraws_nothing(store: MemoryStore) -> None:
    """A bundle that is delivered again may come after later firings; its list is the same then."""
    for pane in (0, 1, 2, 1, 0):
        fire(store, pane, pane)
    assert list(listed(store).values()) == [["00000"], ["00001"], ["00002"]]


def test_a_firing_in_another_number_of_parts_replaces_all_of_them(store: MemoryStore) -> None:
    fire(store, 0, 0, 1, 2, count=3)
    fire(store, 1, 3, count=3)
    fire(store, 0, 0, 4, count=3)
    assert sorted(number for numbers in listed(store).values() for number in numbers) == ["00000", "00004"]
    assert all("of-00002" in name for name in listed(store))


def test_a_failed_write_raises_and_leaves_nothing(store: MemoryStore) -> None:
    [plan] = plan_manifests(STREAM, "", 0, [shard(1)], 1)
    with pytest.raises(TransientStoreError):
        write_manifest(FailingStore(store), Layout("run"), plan)
    assert list(store.list()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"per": "table"}, "per='table' must be 'stream' or 'run'"),
        ({"count": 0}, "count=0 must be a whole number of at least 1"),
        ({"count": True}, "count=True"),
        ({"count": 1.5}, r"count=1\.5"),
    ],
)
def test_what_can_not_work_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Manifests(**arguments)  # type: ignore[arg-type]


def test_scope_is_the_stream_or_the_run() -> None:
    assert Manifests().scope(shard(1)) == STREAM
    assert Manifests(per="run").scope(shard(1)) is None


def test_plans_pickle() -> None:
    [plan] = plan_manifests(STREAM, "", 0, [shard(1)], 1)
    assert pickle.loads(pickle.dumps(plan)) == plan
    assert isinstance(plan, ManifestPlan)
