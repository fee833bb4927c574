"""The builder: nothing lost, limits held, order kept, memory bounded."""

from __future__ import annotations

import gzip
import itertools
import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_s3box.engine.shard_builder import Flushed, ShardBuilder
from beam_s3box.formats import JSON_ARRAY, JSON_LINES, Format
from beam_s3box.records.streams import Stream
from beam_s3box.shards.limits import StreamLimits, limits_by_stream
from beam_s3box.shards.model import Segment
from beam_s3box.shards.packing import BY_BUNDLE_END, BY_MEMORY, BY_OBJECT_BYTES, BY_RAW_BYTES, BY_RECORDS

STREAM = Stream("web", "clicks")
KEY = (STREAM, "", 0)


@pytest.fixture(scope="module")
def codec() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def lines_of(segments: tuple[Segment, ...], format: Format = JSON_LINES) -> list[bytes]:
    text = gzip.decompress(format.join(segments))
    if format is JSON_ARRAY:
        text = text.removeprefix(b"[\n").removesuffix(b"\n]\n").replace(b",\n", b"\n")
    return text.strip(b"\n").split(b"\n")


def all_lines(flushed: Flushed, format: Format = JSON_LINES) -> list[bytes]:
    found = [line for shard in flushed.shards for line in lines_of(shard.segments, format)]
    return found + [line for _, segment in flushed.remainders for line in lines_of((segment,), format)]


def record(number: int, size: int = 30) -> bytes:
    noise = random.Random(number).randbytes(size).hex()
    return b'{"id":%d,"noise":"%s"}' % (number, noise.encode())


class AtOnce:
    """Runs tasks where they are submitted, so that two builders do the same at the same time."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future


def collect(builder: ShardBuilder, batches: list[list[bytes]]) -> Flushed:
    out = Flushed([], [])
    for batch in batches:
        builder.add(KEY, batch)
        taken = builder.poll()
        out.shards.extend(taken.shards)
        out.remainders.extend(taken.remainders)
    taken = builder.finish()
    return Flushed(out.shards + taken.shards, out.remainders + taken.remainders)


@given(
    sizes=st.lists(st.integers(0, 400), max_size=80),
    object_bytes=st.integers(64, 3000),
    raw_bytes=st.none() | st.integers(1, 3000),
    records=st.none() | st.integers(1, 20),
    batch=st.integers(1, 30),
    format=st.sampled_from([JSON_LINES, JSON_ARRAY]),
)
@settings(max_examples=150, deadline=None)
def test_every_record_comes_out_once_in_order_and_no_shard_exceeds_a_limit(
    codec: ThreadPoolExecutor,
    sizes: list[int],
    object_bytes: int,
    raw_bytes: int | None,
    records: int | None,
    batch: int,
    format: Format,
) -> None:
    limits = StreamLimits(object_bytes, raw_bytes, records)
    lines = [record(number, size) for number, size in enumerate(sizes)]
    builder = ShardBuilder(format, lambda stream: limits, codec, "origin")
    flushed = collect(builder, [lines[i : i + batch] for i in range(0, len(lines), batch)])

    assert sorted(all_lines(flushed, format)) == sorted(lines)
    for shard in flushed.shards:
        body = format.join(shard.segments)
        count = sum(segment.records for segment in shard.segments)
        if count > 1:
            assert len(body) <= object_bytes
            assert raw_bytes is None or len(gzip.decompress(body)) <= raw_bytes
            assert records is None or count <= records
        numbers = [lines.index(line) for line in lines_of(shard.segments, format)]
        assert numbers == sorted(numbers)


@given(
    sizes=st.lists(st.integers(0, 400), max_size=80),
    object_bytes=st.integers(64, 3000),
    raw_bytes=st.none() | st.integers(1, 3000),
    records=st.none() | st.integers(1, 20),
    batch=st.integers(1, 30),
    format=st.sampled_from([JSON_LINES, JSON_ARRAY]),
)
@settings(max_examples=300, deadline=None)
def test_a_text_is_cut_where_its_lines_would_be(
    sizes: list[int], object_bytes: int, raw_bytes: int | None, records: int | None, batch: int, format: Format
) -> None:
    limits = StreamLimits(object_bytes, raw_bytes, records)
    lines = [record(number, size) for number, size in enumerate(sizes)]
    batches = [lines[at : at + batch] for at in range(0, len(lines), batch)]
    by_line, by_text = (ShardBuilder(format, lambda stream: limits, AtOnce(), "origin") for _ in range(2))
    for some in batches:
        by_line.add(KEY, some)
        by_text.add_text(KEY, b"\n".join(some), len(some))
    assert by_text.finish() == by_line.finish()


def test_texts_are_held_within_the_budget(codec: ThreadPoolExecutor) -> None:
    builder = ShardBuilder(JSON_LINES, limits_by_stream(StreamLimits()), codec, "origin", 2**20, min_fill_to_seal=0.0)
    lines = [record(number, 500) for number in range(6_000)]
    for at in range(0, len(lines), 1_000):
        builder.add_text((Stream("a", str(at % 3)), "", 0), b"\n".join(lines[at : at + 1_000]), 1_000)
    flushed = builder.finish()
    assert BY_MEMORY in {shard.reason for shard in flushed.shards}
    assert sorted(all_lines(flushed)) == sorted(lines)


def test_raw_and_max_recordss_are_filled_to_the_last_record(codec: ThreadPoolExecutor) -> None:
    lines = [record(number) for number in range(10_000)]
    for limits, reason in (
        (StreamLimits(max_raw_bytes=100_000), BY_RAW_BYTES),
        (StreamLimits(max_records=777), BY_RECORDS),
    ):
        flushed = collect(ShardBuilder(JSON_LINES, limits_by_stream(limits), codec, "origin"), [lines])
        by_limit = [shard for shard in flushed.shards if shard.reason == reason]
        assert len(by_limit) > 5
        for shard in by_limit:
            raw_bytes = sum(segment.raw_bytes for segment in shard.segments)
            count = sum(segment.records for segment in shard.segments)
            assert count == 777 if limits.max_records else 100_000 - raw_bytes < len(max(lines, key=len)) + 1


def test_object_limit_is_filled_well(codec: ThreadPoolExecutor) -> None:
    lines = [record(number) for number in range(30_000)]
    limits = StreamLimits(max_object_bytes=300_000)
    flushed = collect(ShardBuilder(JSON_LINES, lambda stream: limits, codec, "origin"), [lines])
    sizes = [len(JSON_LINES.join(shard.segments)) for shard in flushed.shards if shard.reason == BY_OBJECT_BYTES]
    assert len(sizes) > 2
    assert all(240_000 <= size <= 300_000 for size in sizes)


def test_a_record_larger_than_the_limit_is_a_shard_by_itself(codec: ThreadPoolExecutor) -> None:
    giant = record(1, 5000)
    lines = [record(0), giant, record(2)]
    for limits in (StreamLimits(max_object_bytes=1000), StreamLimits(max_raw_bytes=1000)):
        flushed = collect(ShardBuilder(JSON_LINES, limits_by_stream(limits), codec, "origin"), [lines])
        assert [giant] in [lines_of(shard.segments) for shard in flushed.shards]


def test_a_remainder_of_half_a_shard_is_sealed_and_less_is_kept(codec: ThreadPoolExecutor) -> None:
    limits = StreamLimits(max_records=10)
    for count, expected in ((5, [BY_BUNDLE_END]), (4, [])):
        lines = [record(number) for number in range(count)]
        flushed = collect(ShardBuilder(JSON_LINES, lambda stream: limits, codec, "origin"), [lines])
        assert [shard.reason for shard in flushed.shards] == expected
        assert sum(segment.records for _, segment in flushed.remainders) == (0 if expected else count)


def test_halves_are_handed_on_where_asked(codec: ThreadPoolExecutor) -> None:
    limits = StreamLimits(max_records=10)
    builder = ShardBuilder(JSON_LINES, lambda stream: limits, codec, "origin", min_fill_to_seal=2)
    flushed = collect(builder, [[record(number) for number in range(9)]])
    assert not flushed.shards
    assert len(flushed.remainders) == 1


def test_all_rests_are_sealed_where_asked(codec: ThreadPoolExecutor) -> None:
    limits = StreamLimits(max_records=10)
    flushed = collect(
        ShardBuilder(JSON_LINES, lambda stream: limits, codec, "origin", min_fill_to_seal=0), [[record(0)]]
    )
    assert [shard.reason for shard in flushed.shards] == [BY_BUNDLE_END]
    assert not flushed.remainders
    assert collect(ShardBuilder(JSON_LINES, lambda stream: limits, codec, "origin", min_fill_to_seal=0), []) == Flushed(
        [], []
    )


def test_equal_records_in_equal_order_give_equal_bytes(codec: ThreadPoolExecutor) -> None:
    lines = [record(number) for number in range(5_000)]
    batches = [lines[i : i + 97] for i in range(0, len(lines), 97)]
    limits = StreamLimits(max_object_bytes=20_000)
    runs = [collect(ShardBuilder(JSON_LINES, lambda stream: limits, codec, "origin"), batches) for _ in range(2)]
    assert [JSON_LINES.join(shard.segments) for shard in runs[0].shards] == [
        JSON_LINES.join(shard.segments) for shard in runs[1].shards
    ]


def test_under_pressure_the_largest_streams_are_handed_on_and_nothing_is_lost(codec: ThreadPoolExecutor) -> None:
    limits = StreamLimits()
    builder = ShardBuilder(JSON_LINES, lambda stream: limits, codec, "origin", 200_000)
    given_lines, out = [], Flushed([], [])
    for number in range(4_000):
        key = (Stream("web", "large" if number % 10 else f"small{number % 7}"), "", 0)
        line = record(number, 200)
        given_lines.append(line)
        builder.add(key, [line])
        taken = builder.poll()
        out.remainders.extend(taken.remainders)
        out.shards.extend(taken.shards)
    handed_on = len(out.remainders)
    taken = builder.finish()
    flushed = Flushed(out.shards + taken.shards, out.remainders + taken.remainders)
    assert handed_on
    assert out.remainders[0][0][0] == Stream("web", "large")
    assert sorted(all_lines(flushed)) == sorted(given_lines)


def test_under_pressure_the_largest_are_sealed_where_nobody_else_would_pack_them(codec: ThreadPoolExecutor) -> None:
    builder = ShardBuilder(JSON_LINES, limits_by_stream(StreamLimits()), codec, "origin", 200_000, min_fill_to_seal=0)
    given_lines = [record(number, 200) for number in range(2_000)]
    flushed = collect(builder, [given_lines[i : i + 10] for i in range(0, 2_000, 10)])
    assert not flushed.remainders
    assert {shard.reason for shard in flushed.shards} == {BY_MEMORY, BY_BUNDLE_END}
    assert all_lines(flushed) == given_lines


def test_streams_that_hold_next_to_nothing_cost_memory_too(codec: ThreadPoolExecutor) -> None:
    limits = StreamLimits()
    builder = ShardBuilder(JSON_LINES, lambda stream: limits, codec, "origin", 20_000)
    handed_on = 0
    for number in range(100):
        builder.add((Stream("web", str(number)), "", 0), [record(number)])
        handed_on += len(builder.poll().remainders)
    assert handed_on >= 80
    assert handed_on + len(builder.finish().remainders) == 100


def test_many_small_streams_have_one_shard_each_though_their_records_alternate(codec: ThreadPoolExecutor) -> None:
    """What counts is the memory they take: sealed by their number, each would come back and be sealed again."""
    limits = StreamLimits()
    builder = ShardBuilder(JSON_LINES, lambda stream: limits, codec, "origin", min_fill_to_seal=0)
    for number in range(30_000):
        builder.add((Stream("web", str(number % 15_000)), "", 0), [b"{}"])
    shards, remainders = builder.finish()
    assert (len(shards), remainders) == (15_000, [])


def test_streams_windows_and_limits_stay_apart(codec: ThreadPoolExecutor) -> None:
    by_stream = {Stream("a", "x"): StreamLimits(max_records=1), Stream("b", "x"): StreamLimits(max_records=3)}
    builder = ShardBuilder(JSON_LINES, by_stream.__getitem__, codec, "origin")
    for number in range(6):
        for stream in by_stream:
            builder.add((stream, f"w{number % 2}", 0), [record(number)])
    shards = builder.finish().shards
    sizes = {(shard.stream.domain, shard.window): sum(s.records for s in shard.segments) for shard in shards}
    assert sizes == {("a", "w0"): 1, ("a", "w1"): 1, ("b", "w0"): 3, ("b", "w1"): 3}
    assert len({(shard.origin, shard.sequence) for shard in shards}) == len(shards) == 8


def test_lanes_of_a_stream_have_shards_and_rests_of_their_own(codec: ThreadPoolExecutor) -> None:
    limits = StreamLimits(max_records=4)
    builder = ShardBuilder(JSON_LINES, lambda stream: limits, codec, "origin", min_fill_to_seal=2)
    for number in range(10):
        builder.add((STREAM, "w", number % 2), [record(number)])
    shards, remainders = builder.finish()
    assert [lines_of(shard.segments) for shard in shards] == [
        [record(number) for number in numbers] for numbers in ((0, 2, 4, 6), (1, 3, 5, 7))
    ]
    assert len({shard.sequence for shard in shards}) == 2
    assert {key: lines_of((segment,)) for key, segment in remainders} == {
        (STREAM, "w", 0): [record(8)],
        (STREAM, "w", 1): [record(9)],
    }


@given(
    sizes=st.lists(st.integers(0, 400), min_size=1, max_size=80),
    cuts=st.lists(st.integers(1, 79), max_size=8),
    object_bytes=st.integers(64, 3000),
    raw_bytes=st.none() | st.integers(1, 3000),
    records=st.none() | st.integers(1, 20),
    format=st.sampled_from([JSON_LINES, JSON_ARRAY]),
)
@settings(max_examples=300, deadline=None)
def test_lines_that_come_together_make_the_same_segments_as_one_by_one(
    sizes: list[int], cuts: list[int], object_bytes: int, raw_bytes: int | None, records: int | None, format: Format
) -> None:
    limits = StreamLimits(max_object_bytes=object_bytes, max_raw_bytes=raw_bytes, max_records=records)
    lines = [record(number, size) for number, size in enumerate(sizes)]
    bounds = [0, *sorted({cut for cut in cuts if cut < len(lines)}), len(lines)]
    together, alone = (ShardBuilder(format, lambda stream: limits, AtOnce(), "origin") for _ in range(2))
    for start, stop in itertools.pairwise(bounds):
        together.add(KEY, lines[start:stop])
    for line in lines:
        alone.add(KEY, (line,))
    assert together.finish() == alone.finish()


def test_an_error_while_compressing_surfaces(codec: ThreadPoolExecutor) -> None:
    class Broken:
        overhead = JSON_LINES.overhead
        record_overhead = JSON_LINES.record_overhead
        between = JSON_LINES.between

        def cut(self, lines: object, records: object) -> Segment:
            raise MemoryError("no room")

    builder = ShardBuilder(Broken(), lambda stream: StreamLimits(), codec, "origin")  # type: ignore[arg-type]
    builder.add(KEY, [record(1)])
    with pytest.raises(MemoryError, match="no room"):
        builder.finish()
