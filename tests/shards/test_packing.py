"""The packing rule: nothing lost or duplicated, no limit exceeded, no shard sealed too early."""

from __future__ import annotations

import dataclasses
import gzip
import math
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from beam_s3box.formats import JSON_ARRAY, JSON_LINES, Format, JsonText
from beam_s3box.shards import packing
from beam_s3box.shards.limits import MAX_OBJECT_BYTES, MIN_BYTES, StreamLimits
from beam_s3box.shards.model import NOTHING, Segment, Size, total_size
from beam_s3box.shards.packing import (
    BY_INPUT_END,
    BY_OBJECT_BYTES,
    BY_RAW_BYTES,
    BY_RECORDS,
    MAX_SEGMENT_BYTES,
    REASONS,
    Capacity,
    OpenShard,
    Overhead,
    Placement,
    SealedSegments,
    SegmentsInMemory,
    decide,
)
from beam_s3box.sizes import KiB, MiB

FORMATS: list[Format] = [JSON_LINES, JSON_ARRAY]
NO_OVERHEAD = Overhead(NOTHING, NOTHING)
LIMITS = st.builds(
    StreamLimits,
    max_object_bytes=st.integers(MIN_BYTES, 400),
    max_raw_bytes=st.none() | st.integers(1, 600),
    max_records=st.none() | st.integers(1, 12),
)
OVERHEADS = st.sampled_from(
    [JSON_LINES.overhead, JSON_ARRAY.overhead, NO_OVERHEAD, Overhead(Size(60, 600, 0), Size(9, 9, 0))]
)


def segment(object_bytes: int, raw_bytes: int, records: int) -> Segment:
    return Segment(bytes(object_bytes), 0, raw_bytes, records)


SEGMENTS = st.lists(st.builds(segment, st.integers(1, 150), st.integers(1, 250), st.integers(1, 5)), max_size=30)
REAL_SEGMENTS = st.lists(
    st.lists(
        st.binary(min_size=1, max_size=30).map(lambda raw: b'{"a":"' + raw.hex().encode() + b'"}'),
        min_size=1,
        max_size=4,
    ),
    max_size=15,
)


def pack(segments: list[Segment], capacity: Capacity) -> list[SealedSegments]:
    shard = OpenShard(capacity)
    shards = [sealed for one in segments for sealed in shard.add(one)]
    return [*shards, shard.seal(BY_INPUT_END)] if shard else shards


def measure(size: Size, reason: str) -> int:
    return dict(zip((BY_OBJECT_BYTES, BY_RAW_BYTES, BY_RECORDS), size, strict=True))[reason]


def cost(segments: tuple[Segment, ...], capacity: Capacity) -> Size:
    total = NOTHING
    for one in segments:
        total = total.plus(capacity.cost(one))
    return total


def fits(size: Size, room: Size) -> bool:
    return all(used <= free for used, free in zip(size, room, strict=True))


@settings(max_examples=300, deadline=None)
@given(SEGMENTS, LIMITS, OVERHEADS)
def test_no_segment_is_lost_or_doubled_and_order_is_kept_within_a_shard(
    segments: list[Segment], limits: StreamLimits, overhead: Overhead
) -> None:
    places = {id(one): place for place, one in enumerate(segments)}
    assert len(places) == len(segments)
    found = [[places[id(one)] for one in sealed.segments] for sealed in pack(segments, Capacity.of(limits, overhead))]
    assert sorted(place for shard in found for place in shard) == list(range(len(segments)))
    assert all(shard and shard == sorted(shard) for shard in found)


@settings(max_examples=300, deadline=None)
@given(SEGMENTS, LIMITS, OVERHEADS)
def test_no_limit_is_exceeded_but_by_one_segment_alone(
    segments: list[Segment], limits: StreamLimits, overhead: Overhead
) -> None:
    capacity = Capacity.of(limits, overhead)
    for sealed in pack(segments, capacity):
        if len(sealed.segments) > 1:
            assert fits(cost(sealed.segments, capacity), capacity.room)


@settings(max_examples=300, deadline=None)
@given(SEGMENTS, LIMITS, OVERHEADS)
@example([segment(40, 40, 1), segment(10, 10, 1), segment(40, 40, 1)], StreamLimits(max_object_bytes=70), NO_OVERHEAD)
def test_a_shard_is_sealed_only_when_the_next_segment_did_not_fit(
    segments: list[Segment], limits: StreamLimits, overhead: Overhead
) -> None:
    """Two shards that were sealed one for the other never fit one shard, and the reason names a limit they exceed."""
    capacity = Capacity.of(limits, overhead)
    shard, held_number = OpenShard(capacity), 0
    for one in segments:
        held = shard.size
        shards = shard.add(one)
        for sealed in shards:
            assert sealed.reason in (BY_OBJECT_BYTES, BY_RAW_BYTES, BY_RECORDS)
            size = cost(sealed.segments, capacity)
            room = max(measure(capacity.room, sealed.reason), 1)
            met = measure(size, sealed.reason) >= room
            together = held.plus(capacity.cost(one))
            assert met or measure(together, sealed.reason) > room
            assert met or len(sealed.segments) in (held_number, 1)
        held_number += 1 - sum(len(sealed.segments) for sealed in shards)


@settings(max_examples=300, deadline=None)
@given(SEGMENTS, LIMITS, OVERHEADS)
def test_what_is_held_is_counted_and_never_full(
    segments: list[Segment], limits: StreamLimits, overhead: Overhead
) -> None:
    capacity = Capacity.of(limits, overhead)
    held: list[Segment] = []
    shard = OpenShard(capacity)
    for one in segments:
        sealed = [segment for segments in shard.add(one) for segment in segments.segments]
        held = [segment for segment in [*held, one] if not any(segment is other for other in sealed)]
        assert shard.size == cost(tuple(held), capacity)
        assert shard.fill < 1
        assert capacity.full(shard.size) is None
        assert capacity.overflow(shard.size) is None
        assert bool(shard) == bool(held)


@settings(max_examples=300, deadline=None)
@given(SEGMENTS, LIMITS, OVERHEADS)
def test_a_pile_goes_on_from_what_lies_elsewhere(
    segments: list[Segment], limits: StreamLimits, overhead: Overhead
) -> None:
    """Created again for each segment, from its size and the place of its segments alone, it seals the same shards."""
    capacity = Capacity.of(limits, overhead)
    held, size, shards = SegmentsInMemory(), NOTHING, []
    for one in segments:
        shard = OpenShard(capacity, held, size)
        shards += shard.add(one)
        size = shard.size
    if rest := OpenShard(capacity, held, size):
        shards.append(rest.seal(BY_INPUT_END))
    assert shards == pack(segments, capacity)


@settings(max_examples=300, deadline=None)
@given(SEGMENTS, LIMITS)
def test_every_two_neighbours_sealed_by_size_exceed_a_limit_together(
    segments: list[Segment], limits: StreamLimits
) -> None:
    """SegmentBuffer and next are sealed one after the other, so at least half of all room is used."""
    capacity = Capacity.of(limits, NO_OVERHEAD)
    shards = pack(segments, capacity)
    full = [sealed for sealed in shards if sealed.reason != BY_INPUT_END]
    small = [sealed for sealed in full if capacity.fill(cost(sealed.segments, capacity)) < 0.5]
    assert small == []


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(FORMATS), REAL_SEGMENTS, LIMITS)
def test_the_object_itself_keeps_the_limits(format: Format, lines: list[list[bytes]], limits: StreamLimits) -> None:
    """Not only as reckoned: joined, on S3."""
    segments = [format.cut(part) for part in lines]
    for sealed in pack(segments, Capacity.of(limits, format.overhead)):
        body = format.join(sealed.segments)
        raw = gzip.decompress(body)
        reckoned = total_size(sealed.segments).plus(format.overhead.shard)
        separators = len(sealed.segments) - 1
        assert len(body) == reckoned.object_bytes + separators * format.overhead.separator.object_bytes
        assert len(raw) == reckoned.raw_bytes + separators * format.overhead.separator.raw_bytes
        if len(sealed.segments) > 1:
            assert len(body) <= limits.max_object_bytes
            assert limits.max_raw_bytes is None or len(raw) <= limits.max_raw_bytes
            assert limits.max_records is None or reckoned.records <= limits.max_records


@pytest.mark.parametrize(
    ("held", "added", "expected"),
    [
        (NOTHING, Size(10, 10, 1), (Placement.APPEND, None)),
        (NOTHING, Size(1000, 10, 1), (Placement.APPEND, None)),
        (Size(60, 0, 1), Size(40, 0, 1), (Placement.APPEND, None)),
        (Size(60, 0, 1), Size(41, 0, 1), (Placement.SEAL_BUFFERED, BY_OBJECT_BYTES)),
        (Size(41, 0, 1), Size(60, 0, 1), (Placement.SEAL_INCOMING, BY_OBJECT_BYTES)),
        (Size(60, 0, 1), Size(60, 0, 1), (Placement.SEAL_BUFFERED, BY_OBJECT_BYTES)),
        (Size(10, 190, 1), Size(10, 11, 1), (Placement.SEAL_BUFFERED, BY_RAW_BYTES)),
        (Size(10, 10, 10), Size(10, 10, 1), (Placement.SEAL_BUFFERED, BY_RECORDS)),
        (Size(10, 10, 1), Size(10, 10, 10), (Placement.SEAL_INCOMING, BY_RECORDS)),
        (Size(60, 10, 1), Size(50, 10, 10), (Placement.SEAL_INCOMING, BY_OBJECT_BYTES)),
    ],
)
def test_the_larger_of_two_that_do_not_fit_is_sealed(
    held: Size, added: Size, expected: tuple[Placement, str | None]
) -> None:
    capacity = Capacity.of(StreamLimits(max_object_bytes=100, max_raw_bytes=200, max_records=10), NO_OVERHEAD)
    assert decide(held, added, capacity) == expected


def test_the_limit_itself_is_allowed_and_seals_at_once() -> None:
    shard = OpenShard(Capacity.of(StreamLimits(max_object_bytes=100, max_records=2), NO_OVERHEAD))
    first, second = segment(50, 1, 1), segment(50, 1, 1)
    assert shard.add(first) == []
    assert shard.add(second) == [SealedSegments((first, second), BY_OBJECT_BYTES)]
    assert not shard
    assert shard.size == NOTHING
    assert shard.add(first) == []
    assert shard.add(segment(1, 1, 1)) == [SealedSegments((first, segment(1, 1, 1)), BY_RECORDS)]


def test_a_segment_over_the_limit_is_a_shard_by_itself_and_the_held_stay() -> None:
    shard = OpenShard(Capacity.of(StreamLimits(max_object_bytes=100), NO_OVERHEAD))
    small, huge = segment(10, 1, 1), segment(500, 1, 1)
    assert shard.add(huge) == [SealedSegments((huge,), BY_OBJECT_BYTES)]
    assert shard.add(small) == []
    assert shard.add(huge) == [SealedSegments((huge,), BY_OBJECT_BYTES)]
    assert shard.take() == (small,)
    assert not shard
    assert shard.take() == ()
    assert shard.size == NOTHING


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
@pytest.mark.parametrize(
    "limits", [StreamLimits(max_object_bytes=MIN_BYTES), StreamLimits(max_raw_bytes=1), StreamLimits(max_records=1)]
)
def test_the_smallest_limits_make_one_record_a_shard(format: Format, limits: StreamLimits) -> None:
    segments = [format.cut([f'{{"a":{i},"b":"{"x" * 30}{i * 37}"}}'.encode()]) for i in range(5)]
    shards = pack(segments, Capacity.of(limits, format.overhead))
    assert sorted(sealed.segments for sealed in shards) == sorted((one,) for one in segments)


def test_no_limit_is_no_limit() -> None:
    capacity = Capacity.of(StreamLimits(max_object_bytes=MAX_OBJECT_BYTES), JSON_LINES.overhead)
    assert capacity.overflow(Size(1, 2**50, 2**50)) is None
    assert capacity.fill(Size(MAX_OBJECT_BYTES - 20, 1, 1)) == 1.0


@pytest.mark.parametrize("over", [0, 1])
def test_limits_are_exact_to_the_byte_at_the_largest_sizes(over: int) -> None:
    capacity = Capacity.of(
        StreamLimits(max_object_bytes=MAX_OBJECT_BYTES, max_raw_bytes=2**45, max_records=2**45), NO_OVERHEAD
    )
    for size in (Size(MAX_OBJECT_BYTES + over, 1, 1), Size(1, 2**45 + over, 1), Size(1, 1, 2**45 + over)):
        assert (capacity.overflow(size) is not None) == bool(over)
        assert capacity.full(size) is not None


def test_reasons_are_all_of_them() -> None:
    codes = {value for key, value in vars(packing).items() if key.startswith("BY_")}
    assert codes == set(REASONS)
    assert len(REASONS) == len(codes)


# ---------------------------------------------------------------- where segments are cut


def capacity_of(format: Format, object_bytes: int, raw_bytes: int | None = None) -> Capacity:
    return Capacity.of(StreamLimits(max_object_bytes=object_bytes, max_raw_bytes=raw_bytes), format.overhead)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(FORMATS),
    st.integers(MIN_BYTES, MAX_OBJECT_BYTES) | st.integers(MIN_BYTES, 300),
    st.none() | st.integers(1, 2**31),
)
def test_a_segment_is_never_too_large_nor_needlessly_small(
    format: Format, object_bytes: int, raw_bytes: int | None
) -> None:
    capacity = capacity_of(format, object_bytes, raw_bytes)
    least = min(object_bytes, raw_bytes or object_bytes)
    assert 1 <= capacity.segment_bytes <= MAX_SEGMENT_BYTES
    assert capacity.segment_bytes <= least
    assert capacity.segment_bytes >= min(MAX_SEGMENT_BYTES, (least - 100) // 8)


def test_segments_at_the_defaults() -> None:
    assert capacity_of(JSON_LINES, 64 * MiB).segment_bytes == 1 * MiB
    assert 32 * KiB < capacity_of(JSON_LINES, 100_000).segment_bytes <= 64 * KiB
    assert capacity_of(JSON_LINES, 64 * MiB, raw_bytes=1).segment_bytes == 1


def worst_texts(size: int) -> list[bytes]:
    """Bytes that deflate can only grow: random ones, and those that a fixed Huffman code spells with nine bits."""
    source = random.Random(size)
    return [
        source.randbytes(size),
        bytes(source.choices(range(144, 256), k=size)),
        bytes(source.sample(range(256), 256) * 8)[:size],
    ]


@pytest.mark.parametrize("template", [JSON_LINES, JSON_ARRAY], ids=lambda format: format.name)
@pytest.mark.parametrize("object_bytes", [64, 65, 80, 100, 150, 300, 1000, 10_000, 100_000, 400_000])
def test_a_segment_of_several_records_fits_a_shard_however_badly_it_compresses(
    template: JsonText, object_bytes: int
) -> None:
    """Half as much again as `segment_bytes` is the most that one holds, unless one record alone is larger."""
    capacity = capacity_of(template, object_bytes)
    largest = math.floor(1.5 * capacity.segment_bytes)
    for level in range(1, 10):
        format = dataclasses.replace(template, compression_level=level)
        for raw in worst_texts(max(largest - len(format.between), 1)):
            made = format.cut([raw])
            if made.raw_bytes <= largest:
                assert capacity.overflow(capacity.cost(made)) is None
                assert len(format.join([made])) <= object_bytes
