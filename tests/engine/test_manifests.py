"""Manifests: every shard once, balanced, in the form that COPY reads, written once."""

from __future__ import annotations

import json
import pickle
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_s3box.engine.manifests import (
    ManifestPlan,
    Manifests,
    join_plans,
    plan_manifests,
    render_manifest,
    split_evenly,
    split_plan,
)
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import ShardFile

STREAM = Stream("web", "clicks")


def shard(number: int, object_bytes: int = 1000) -> ShardFile:
    url = f"s3://bucket/data/web/clicks/{number:05d}.json.gz"
    return ShardFile(
        "web", "clicks", "", url, url.removeprefix("s3://bucket/"), 10, 5000, object_bytes, "ab", "records"
    )


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


def test_what_a_text_follows_on_changes_nothing_that_is_read() -> None:
    plain, *others = (render_manifest([shard(1)], lineage) for lineage in ("", "0" * 64, "ab" * 32))
    assert len({plain, *others}) == 3
    assert [json.loads(text) for text in others] == 2 * [json.loads(plain)]
    assert [text.removeprefix(plain).translate(None, b" \t") for text in others] == 2 * [b"\n"]


def test_nothing_to_list_means_no_manifest() -> None:
    assert plan_manifests(STREAM, "", 0, [], 3) == []


def test_a_row_that_comes_twice_is_listed_once() -> None:
    """As where a runner delivers at least once."""
    [plan] = plan_manifests(STREAM, "", 0, [shard(1), shard(2), shard(1)], 1)
    assert plan.files == (shard(1), shard(2))


def test_two_shards_of_one_key_are_listed_by_nobody() -> None:
    with pytest.raises(S3BoxError, match=r"two shards have the key 'data/web/clicks/00001\.json\.gz'"):
        plan_manifests(STREAM, "", 0, [shard(1), shard(1)._replace(sha256="cd")], 1)


@given(numbers=st.lists(st.integers(0, 40), min_size=1), size=st.integers(1, 7), seed=st.randoms())
def test_a_plan_in_pieces_is_the_same_again(numbers: list[int], size: int, seed: random.Random) -> None:
    [plan] = plan_manifests(STREAM, "w", 0, map(shard, numbers), 1)
    pieces = list(split_plan(plan, size))
    assert max(len(piece.files) for piece in pieces) <= size
    assert len(pieces) == -(-len(plan.files) // size)
    pieces += pieces[:1]
    seed.shuffle(pieces)
    assert join_plans(map(tuple, pieces)) == plan  # type: ignore[arg-type]


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
