"""Lists of shards in parts: the same list again, and no part too large."""

from __future__ import annotations

import hashlib
import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_s3box.shard_lists import Listed, pack_shards, unpack_shards
from beam_s3box.shards import ShardFile


def shard(number: int) -> ShardFile:
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    key = f"data/d{number % 7}/ä/20261129T103125Z-6190e36a-{digest[20:32]}-{number:05d}-{digest[:12]}.json.gz"
    url = f"s3://bucket/prefix/{key}"
    return ShardFile(f"d{number % 7}", "ä", "", url, key, number, 2**40 + number, number, digest, "bundle_end")


@given(count=st.integers(0, 50), part=st.integers(1, 60))
def test_the_list_comes_back_in_order(count: int, part: int) -> None:
    files = list(map(shard, range(count)))
    parts = list(pack_shards(files, part))
    assert len(parts) == -(-count // part)
    assert list(unpack_shards(parts)) == [(f.key, f.records, f.raw_bytes, f.object_bytes) for f in files]
    assert all(isinstance(listed, Listed) for listed in unpack_shards(parts))


def test_a_million_shards_are_many_small_parts() -> None:
    """Two parts stand for a hundred: each is as large as any other."""
    files = sorted(map(shard, range(20_000)), key=lambda file: file.key)
    sizes = [len(part) for part in pack_shards(files)]
    assert len(sizes) == 2
    assert max(sizes) < 1_000_000


def test_the_worst_keys_stay_far_below_what_runners_take() -> None:
    files = (shard(number)._replace(key=os.urandom(512).hex()) for number in itertools.count())
    assert len(next(pack_shards(files))) < 11_000_000


def test_only_one_part_is_read_ahead() -> None:
    read = []
    parts = pack_shards((read.append(number) or shard(number) for number in range(100)), 10)  # type: ignore[func-returns-value]
    next(parts)
    assert len(read) == 10


def test_what_is_no_part_is_an_error() -> None:
    with pytest.raises(Exception, match="incorrect header"):
        list(unpack_shards([b"no part"]))
