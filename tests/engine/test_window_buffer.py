"""One stream and window over time: whatever order size, age and the window's end come in, nothing is lost or duplicated."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_s3box.engine.window_buffer import BufferState, WindowBuffer
from beam_s3box.records.streams import Stream
from beam_s3box.shards.limits import MIN_BYTES, StreamLimits
from beam_s3box.shards.model import NOTHING, SealedShard, Segment, Size
from beam_s3box.shards.packing import (
    BY_LATENESS,
    BY_OBJECT_BYTES,
    BY_RECORDS,
    BY_SECONDS,
    BY_WINDOW_END,
    Capacity,
    OpenShard,
    Overhead,
    SegmentsInMemory,
)

STREAM = Stream("web", "clicks")
OVERHEAD = Overhead(Size(30, 2, 0), Size(9, 1, 0))
LIMITS = st.builds(
    StreamLimits,
    max_object_bytes=st.integers(MIN_BYTES, 400),
    max_raw_bytes=st.none() | st.integers(1, 600),
    max_records=st.none() | st.integers(1, 12),
)
SIZES = st.builds(Size, st.integers(1, 150), st.integers(1, 250), st.integers(1, 5))
EVENTS = st.lists(SIZES | st.sampled_from(["age", "end"]), max_size=40)


class HeldElsewhere:
    """Segments that come back as equal ones and never as the same, as from a runner's state."""

    def __init__(self) -> None:
        self.segments: list[tuple[bytes, int, int, int]] = []

    def append(self, segment: Segment) -> None:
        self.segments.append((segment.data, segment.crc32, segment.raw_bytes, segment.records))

    def take(self) -> tuple[Segment, ...]:
        taken, self.segments = tuple(map(Segment._make, self.segments)), []
        return taken


class Kept:
    """A buffer that is created again for each event, from nothing but its state and its segments."""

    def __init__(self, limits: StreamLimits, overhead: Overhead = OVERHEAD) -> None:
        self.state = BufferState.new("origin")
        self.held = HeldElsewhere()
        self.capacity = Capacity.of(limits, overhead)
        self.sealed: list[SealedShard] = []

    def _buffer(self) -> WindowBuffer:
        return WindowBuffer(STREAM, "window", self.state, self.held, self.capacity)

    def add(self, segment: Segment) -> bool:
        buffer = self._buffer()
        shards, begun = buffer.add(segment)
        self._keep(buffer, shards)
        return begun

    def do(self, event: Literal["age", "end"]) -> None:
        buffer = self._buffer()
        self._keep(buffer, buffer.end() if event == "end" else buffer.seal(BY_SECONDS))

    def _keep(self, buffer: WindowBuffer, shards: list[SealedShard]) -> None:
        self.state = buffer.state
        self.sealed += shards
        assert bool(buffer) == bool(self.held.segments)


def segment(number: int, size: Size) -> Segment:
    """Return a segment that its checksum distinguishes from others."""
    return Segment(bytes(size.object_bytes), number, size.raw_bytes, size.records)


def numbers(shard: SealedShard) -> list[int]:
    return [one.crc32 for one in shard.segments]


def reasons(kept: Kept) -> list[str]:
    return [shard.reason for shard in kept.sealed]


def played(events: list[Size | Literal["age", "end"]], limits: StreamLimits) -> Kept:
    kept = Kept(limits)
    for number, event in enumerate(events):
        if isinstance(event, Size):
            kept.add(segment(number, event))
        else:
            kept.do(event)
    return kept


@settings(max_examples=300, deadline=None)
@given(EVENTS, LIMITS)
def test_every_segment_is_in_one_shard_in_order(
    events: list[Size | Literal["age", "end"]], limits: StreamLimits
) -> None:
    kept = played([*events, "end"], limits)
    added = [number for number, event in enumerate(events) if isinstance(event, Size)]
    assert sorted(number for shard in kept.sealed for number in numbers(shard)) == added
    assert all(numbers(shard) and numbers(shard) == sorted(numbers(shard)) for shard in kept.sealed)
    assert kept.state[:3] == NOTHING
    assert kept.state.ended


@settings(max_examples=300, deadline=None)
@given(EVENTS, LIMITS)
def test_shards_are_numbered_as_they_come_and_never_share_a_number(
    events: list[Size | Literal["age", "end"]], limits: StreamLimits
) -> None:
    kept = played(events, limits)
    assert [shard.sequence for shard in kept.sealed] == list(range(len(kept.sealed)))
    assert kept.state.sequence == len(kept.sealed)
    assert {(shard.stream, shard.window, shard.origin) for shard in kept.sealed} <= {(STREAM, "window", "origin")}


@settings(max_examples=300, deadline=None)
@given(EVENTS, LIMITS)
def test_no_limit_is_exceeded_but_by_one_segment_alone(
    events: list[Size | Literal["age", "end"]], limits: StreamLimits
) -> None:
    kept = played([*events, "end"], limits)
    for shard in kept.sealed:
        if len(shard.segments) > 1:
            total = NOTHING
            for one in shard.segments:
                total = total.plus(kept.capacity.cost(one))
            assert kept.capacity.overflow(total) is None


@settings(max_examples=300, deadline=None)
@given(EVENTS, LIMITS)
def test_a_shard_begins_with_the_segment_that_is_first_in_it(
    events: list[Size | Literal["age", "end"]], limits: StreamLimits
) -> None:
    """So its age counts from there, and from no later one."""
    kept = Kept(limits)
    for number, event in enumerate(events):
        if isinstance(event, Size):
            begun = kept.add(segment(number, event))
            assert begun == ([one[1] for one in kept.held.segments[:1]] == [number])
        else:
            kept.do(event)


@settings(max_examples=300, deadline=None)
@given(EVENTS, LIMITS)
def test_after_the_end_a_segment_is_a_shard_at_once(
    events: list[Size | Literal["age", "end"]], limits: StreamLimits
) -> None:
    kept = played(["end", *events], limits)
    late = [number + 1 for number, event in enumerate(events) if isinstance(event, Size)]
    assert [numbers(shard) for shard in kept.sealed] == [[number] for number in late]
    assert set(reasons(kept)) <= {BY_LATENESS}


@settings(max_examples=300, deadline=None)
@given(st.lists(SIZES, max_size=40), LIMITS)
def test_state_and_memory_give_the_same_shards(sizes: list[Size], limits: StreamLimits) -> None:
    """One packing rule: what a OpenShard in memory makes of segments, the buffer makes of them one event at a time."""
    shard = OpenShard(Capacity.of(limits, OVERHEAD), SegmentsInMemory())
    shards = [sealed for number, size in enumerate(sizes) for sealed in shard.add(segment(number, size))]
    if shard:
        shards.append(shard.seal(BY_WINDOW_END))
    kept = played([*sizes, "end"], limits)
    assert [(shard.segments, shard.reason) for shard in kept.sealed] == shards


def test_age_and_end_find_nothing_and_make_nothing() -> None:
    kept = Kept(StreamLimits())
    kept.do("age")
    kept.do("end")
    kept.do("age")
    kept.do("end")
    assert kept.sealed == []
    assert kept.state == BufferState.new("origin", ended=True)


def test_each_reason() -> None:
    kept = Kept(StreamLimits(max_object_bytes=100, max_records=3), Overhead(NOTHING, NOTHING))
    for number, records in enumerate((1, 1, 1, 1)):
        kept.add(segment(number, Size(10, 1, records)))
    kept.do("age")
    kept.add(segment(4, Size(90, 1, 1)))
    kept.add(segment(5, Size(20, 1, 1)))
    kept.do("end")
    kept.add(segment(6, Size(1, 1, 1)))
    assert reasons(kept) == [BY_RECORDS, BY_SECONDS, BY_OBJECT_BYTES, BY_WINDOW_END, BY_LATENESS]
    assert [numbers(shard) for shard in kept.sealed] == [[0, 1, 2], [3], [4], [5], [6]]


def test_a_shard_begins_with_what_stays_behind_and_not_with_what_passes_by() -> None:
    kept = Kept(StreamLimits(max_object_bytes=100), Overhead(NOTHING, NOTHING))
    assert kept.add(segment(0, Size(40, 1, 1)))
    assert not kept.add(segment(1, Size(20, 1, 1)))
    assert not kept.add(segment(2, Size(90, 1, 1))), "it is a shard alone, and the others still wait"
    assert [numbers(shard) for shard in kept.sealed] == [[2]]
    assert kept.add(segment(3, Size(50, 1, 1))), "the others are a shard, and it waits alone"
    assert [numbers(shard) for shard in kept.sealed] == [[2], [0, 1]]
    assert not kept.add(segment(4, Size(50, 1, 1))), "the shard is full, and nothing waits"
    assert not kept.held.segments


@pytest.mark.parametrize("ended", [False, True])
def test_a_new_state_holds_nothing(ended: bool) -> None:
    assert BufferState.new("origin", ended=ended) == (0, 0, 0, 0, ended, "origin")
