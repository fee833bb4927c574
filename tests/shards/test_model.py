"""Sizes, segments and the rows that describe shards."""

from __future__ import annotations

import pickle

from hypothesis import given, settings
from hypothesis import strategies as st

from beam_s3box.records.streams import Stream
from beam_s3box.shards.model import NOTHING, SealedShard, Segment, ShardFile, Size, total_size

COUNTS = st.integers(0, 2**40)
SIZES = st.builds(Size, COUNTS, COUNTS, COUNTS)


@settings(max_examples=50, deadline=None)
@given(SIZES, SIZES)
def test_sizes_add_up_measure_by_measure(first: Size, second: Size) -> None:
    total = first.plus(second)
    assert total == tuple(a + b for a, b in zip(first, second, strict=True))
    assert total.minus(second) == first
    assert first.plus(NOTHING) == first.minus(NOTHING) == first
    assert isinstance(total, Size)
    assert isinstance(total.minus(first), Size)


def test_a_segment_takes_its_compressed_bytes() -> None:
    assert Segment(b"abc", 7, 100, 2).size == Size(object_bytes=3, raw_bytes=100, records=2)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.builds(Segment, st.binary(max_size=9), COUNTS, COUNTS, COUNTS), max_size=6))
def test_the_total_is_the_sum(segments: list[Segment]) -> None:
    assert total_size(iter(segments)) == Size(
        sum(len(segment.data) for segment in segments),
        sum(segment.raw_bytes for segment in segments),
        sum(segment.records for segment in segments),
    )


def test_rows_know_their_stream_and_pickle() -> None:
    file = ShardFile("web", "clicks", "", "s3://b/p/k", "k", 1, 2, 3, "00", "records")
    sealed = SealedShard(Stream("web", "clicks"), "", "o", 0, "records", (Segment(b"a", 1, 1, 1),))
    assert file.stream == sealed.stream == Stream("web", "clicks")
    assert isinstance(file.stream, Stream)
    assert pickle.loads(pickle.dumps((file, sealed))) == (file, sealed)
