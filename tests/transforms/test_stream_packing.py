"""Unbounded input packed by state: shards sealed by size, by age, and at the end of the window, with a manual clock."""

from __future__ import annotations

import collections
import random
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import FixedWindows, SlidingWindows, TimestampedValue, WindowFn

from beam_s3box import StreamLimits, Tuning, WriteToS3Box
from beam_s3box.metrics import STATE_READS, STATE_WRITES
from beam_s3box.shards.lanes import lane_of
from beam_s3box.shards.packing import BY_OBJECT_BYTES, BY_RAW_BYTES, BY_RECORDS, BY_SECONDS, BY_WINDOW_END
from beam_s3box.shards.runs import new_token
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.transforms.tuning import Packing
from tests.readback import read_back, strict_gunzip
from tests.transforms.streams import Script, Written, write

TEN_SECONDS = StreamLimits(max_seconds=10)
NO_TIME = StreamLimits(max_seconds=None)
STATE = (STATE_READS, STATE_WRITES)


def check_all_listed(written: Written, count: int) -> None:
    assert written.all_ids() == list(range(count))
    assert written.found.unlisted == []


# ---------------------------------------------------------------- size


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (StreamLimits(max_records=3, max_seconds=None), BY_RECORDS),
        (StreamLimits(max_raw_bytes=3 * 73, max_seconds=None), BY_RAW_BYTES),
    ],
)
def test_a_size_limit_is_met_by_segments_of_many_bundles(store: MemoryStore, limits: StreamLimits, reason: str) -> None:
    script = Script()
    for number in range(8):
        script.add(number, at=number, pad=40)
    written = write(script.watermark(60), store, limits=limits)
    assert written.sealed() == [(reason, [0, 1, 2]), (reason, [3, 4, 5]), (BY_WINDOW_END, [6, 7])]
    check_all_listed(written, 8)


def test_the_limit_on_s3_bytes_is_kept_by_the_objects(store: MemoryStore) -> None:
    script, source = Script(), random.Random(1)
    for number in range(25):
        script.add(number, at=number, pad=source.randrange(300))
    written = write(script.watermark(60), store, limits=StreamLimits(max_object_bytes=300, max_seconds=None))
    sizes = [len(store.get(key)) for key in written.found.shards]
    assert max(sizes) <= 300
    assert sum(size > 200 for size in sizes) >= len(sizes) - 1, "shards are filled well"
    assert [reason for reason, _ in written.sealed()] == [BY_OBJECT_BYTES] * (len(sizes) - 1) + [BY_WINDOW_END]
    check_all_listed(written, 25)


def test_a_bundle_that_holds_whole_shards_seals_them_and_state_packs_the_remainders(store: MemoryStore) -> None:
    script = Script().add(*range(10), at=1).add(10, 11, at=1).add(12, 13, 14, at=1).watermark(60)
    written = write(script, store, limits=StreamLimits(max_records=4, max_seconds=None))
    assert sorted(written.sealed()) == [
        (BY_RECORDS, [0, 1, 2, 3]), (BY_RECORDS, [4, 5, 6, 7]), (BY_RECORDS, [8, 9, 10, 11]), (BY_WINDOW_END, [12, 13, 14]),
    ]  # fmt: skip
    check_all_listed(written, 15)


def test_a_record_larger_than_the_limit_is_a_shard_and_the_others_go_on_waiting(store: MemoryStore) -> None:
    limits = StreamLimits(max_raw_bytes=200, max_seconds=10)
    script = Script().add(0, at=1).wait(6).add(1, at=1, pad=500).wait(4).watermark(60)
    written = write(script, store, limits=limits)
    assert written.sealed() == [(BY_RAW_BYTES, [1]), (BY_SECONDS, [0])]
    check_all_listed(written, 2)


def test_limits_are_per_stream(store: MemoryStore) -> None:
    limits = {
        "a/*": StreamLimits(max_records=2, max_seconds=None),
        "b/x": StreamLimits(max_seconds=5),
        "*": StreamLimits(max_seconds=20),
    }
    script = Script()
    for number, stream in enumerate("abcabcabc"):
        script.add(number, at=1, stream=stream)
    script.wait(5).add(9, at=1, stream="c").wait(15).watermark(60)
    written = write(script, store, limits=limits)
    assert written.sealed("a") == [(BY_RECORDS, [0, 3]), (BY_WINDOW_END, [6])]
    assert written.sealed("b") == [(BY_SECONDS, [1, 4, 7])]
    assert written.sealed("c") == [(BY_SECONDS, [2, 5, 8, 9])]
    check_all_listed(written, 10)


def test_windows_of_one_stream_are_packed_apart(store: MemoryStore) -> None:
    script = Script()
    for number in range(8):
        script.add(number, at=60 * (number % 2) + number)
    script.watermark(60).watermark(120)
    written = write(script, store, limits=StreamLimits(max_records=3, max_seconds=None))
    assert sorted(written.sealed()) == [
        (BY_RECORDS, [0, 2, 4]), (BY_RECORDS, [1, 3, 5]), (BY_WINDOW_END, [6]), (BY_WINDOW_END, [7]),
    ]  # fmt: skip
    check_all_listed(written, 8)


# ---------------------------------------------------------------- time


def test_the_time_limit_seals_a_stream_that_went_idle(store: MemoryStore) -> None:
    """Only `wait` follows: no record and no watermark wakes the packer."""
    idle = Script().add(0, at=1).wait(9).add(1, at=2, stream="other").wait(1).add(2, at=3, stream="marker")
    written = write(idle.watermark(60), store, limits=TEN_SECONDS)
    assert written.sealed() == [(BY_SECONDS, [0])]
    assert [shard.value.domain for shard in written.shards] == ["a", "other", "marker"]


def test_the_time_limit_counts_from_the_first_record_and_no_later_one_pushes_it_on(store: MemoryStore) -> None:
    script = Script().add(0, at=1)
    for number in range(1, 5):
        script.wait(2).add(number, at=1)
    script.wait(2).add(5, at=1).wait(9).watermark(60)
    written = write(script, store, limits=TEN_SECONDS)
    assert written.sealed() == [(BY_SECONDS, [0, 1, 2, 3, 4]), (BY_WINDOW_END, [5])]
    check_all_listed(written, 6)


@pytest.mark.parametrize(("seconds", "expected"), [(10, BY_SECONDS), (9, BY_WINDOW_END)])
def test_the_time_limit_is_exact(store: MemoryStore, seconds: int, expected: str) -> None:
    written = write(Script().add(0, at=1).wait(seconds).watermark(60), store, limits=TEN_SECONDS)
    assert written.sealed() == [(expected, [0])]


def test_parts_of_a_second_count(store: MemoryStore) -> None:
    script = Script().add(0, at=1).wait(0.5).add(1, at=1).watermark(60)
    written = write(script, store, limits=StreamLimits(max_seconds=0.5))
    assert written.sealed() == [(BY_SECONDS, [0]), (BY_WINDOW_END, [1])]


def test_the_time_limit_never_counts_from_the_last_shard(store: MemoryStore) -> None:
    """After a long pause a record has its full ten seconds, whatever passed before it arrived."""
    script = Script().add(0, at=1).wait(10).wait(100).add(1, at=1).wait(9).add(2, at=1).wait(1).wait(50).watermark(60)
    written = write(script, store, limits=TEN_SECONDS)
    assert written.sealed() == [(BY_SECONDS, [0]), (BY_SECONDS, [1, 2])]
    check_all_listed(written, 3)


def test_after_a_seal_by_size_the_time_counts_from_what_stays_behind(store: MemoryStore) -> None:
    limits = StreamLimits(max_raw_bytes=150, max_seconds=10)
    script = Script().add(0, at=1, pad=60).wait(6).add(1, at=1, pad=60).wait(4).add(2, at=1).wait(6).watermark(60)
    written = write(script, store, limits=limits)
    assert written.sealed() == [(BY_RAW_BYTES, [0]), (BY_SECONDS, [1, 2])]
    check_all_listed(written, 3)


def test_after_a_seal_that_leaves_nothing_no_timer_fires(store: MemoryStore) -> None:
    """The shard of the next record starts with it, and the timer of the previous one does not end it."""
    limits = StreamLimits(max_records=2, max_seconds=10)
    script = Script().add(0, at=1).wait(4).add(1, at=1).wait(4).add(2, at=1).wait(2).wait(7).add(3, at=1)
    written = write(script.wait(20).watermark(60), store, limits=limits)
    assert written.sealed() == [(BY_RECORDS, [0, 1]), (BY_RECORDS, [2, 3])]
    check_all_listed(written, 4)


def test_after_a_seal_that_leaves_nothing_the_clock_stands_still(store: MemoryStore) -> None:
    """It would find nothing, and cost a read of state for every shard."""
    limits = StreamLimits(max_records=2, max_seconds=10)
    idle = write(Script().add(0, at=1).add(1, at=1).wait(10).wait(10).watermark(60), store, limits=limits)
    busy = write(Script().add(0, at=1).add(1, at=1).watermark(60), MemoryStore(new_token(12)), limits=limits)
    assert idle.sealed() == busy.sealed() == [(BY_RECORDS, [0, 1])]
    assert [idle.counts[name] for name in STATE] == [busy.counts[name] for name in STATE]


def test_without_a_time_limit_only_size_and_windows_seal(store: MemoryStore) -> None:
    script = Script().add(0, at=1).wait(10_000).add(1, at=1).wait(10_000).watermark(60)
    written = write(script, store, limits=NO_TIME)
    assert written.sealed() == [(BY_WINDOW_END, [0, 1])]


def test_the_default_is_a_minute(store: MemoryStore) -> None:
    script = Script().add(0, at=1).wait(59).add(1, at=1).wait(1).wait(59).add(2, at=1).watermark(60)
    assert write(script, store).sealed() == [(BY_SECONDS, [0, 1]), (BY_WINDOW_END, [2])]


def test_time_limits_of_streams_do_not_meet(store: MemoryStore) -> None:
    script = Script().add(0, at=1).wait(5).add(1, at=1, stream="b").wait(5).add(2, at=1).wait(5).watermark(60)
    written = write(script, store, limits=TEN_SECONDS)
    assert written.sealed("a") == [(BY_SECONDS, [0]), (BY_WINDOW_END, [2])]
    assert written.sealed("b") == [(BY_SECONDS, [1])]


def test_the_end_of_a_window_stops_its_clock(store: MemoryStore) -> None:
    """A timer that stays set would find nothing, which is harmless here; jobs on Flink spin for ever on it."""
    written = write(Script().add(0, at=1).watermark(60).wait(10).wait(100), store, limits=TEN_SECONDS)
    assert written.sealed() == [(BY_WINDOW_END, [0])]
    assert len(written.manifests) == 1
    without = write(Script().add(0, at=1).watermark(60), MemoryStore(new_token(12)), limits=NO_TIME)
    assert [written.counts[name] for name in STATE] == [without.counts[name] for name in STATE]


def test_state_is_touched_a_few_times_for_a_bundle_and_not_for_each_record(store: MemoryStore) -> None:
    small, large = (
        write(Script().add(*range(count), at=1).watermark(60), MemoryStore(new_token(12)), limits=NO_TIME)
        for count in (1, 1_000)
    )
    assert [small.counts[name] for name in STATE] == [large.counts[name] for name in STATE]
    assert sum(large.counts[name] for name in STATE) <= 0.01 * 1_000


# ---------------------------------------------------------------- lanes


def test_a_hot_stream_spreads_over_lanes(store: MemoryStore) -> None:
    script = Script()
    for number in range(0, 60, 10):
        script.add(*range(number, number + 10), at=1)
    written = write(script.watermark(60), store, limits=StreamLimits(max_seconds=None, lanes=3))
    assert [reason for reason, _ in written.sealed()] == [BY_WINDOW_END] * 3
    assert all(ids == sorted(ids) for _, ids in written.sealed()), "within a lane the order is kept"
    assert len({key.rpartition("/")[0] for key in written.found.manifests}) == 1
    check_all_listed(written, 60)


def test_only_streams_with_lanes_are_spread(store: MemoryStore) -> None:
    script = Script().add(*range(30), at=1, stream="a").add(*range(30, 60), at=1, stream="b").watermark(60)
    limits = {"a/*": StreamLimits(max_seconds=None, lanes=3), "b/*": StreamLimits(max_seconds=None)}
    written = write(script, store, limits=limits)
    assert [len(written.sealed(stream)) for stream in "ab"] == [3, 1]
    check_all_listed(written, 60)


def test_each_lane_has_a_time_limit_of_its_own(store: MemoryStore) -> None:
    first, second = (next(number for number in range(100) if lane_of(line(number), 2) == lane) for lane in (0, 1))
    script = Script().add(first, at=1).wait(5).add(second, at=1).wait(5).wait(4).watermark(60)
    written = write(script, store, limits=StreamLimits(max_seconds=10, lanes=2))
    assert written.sealed() == [(BY_SECONDS, [first]), (BY_WINDOW_END, [second])]


def line(number: int) -> bytes:
    return b'{"d":"a","n":"x","i":%d,"pad":""}' % number


@pytest.mark.parametrize("packing", ["group", "stateful"])
def test_lanes_with_equal_remainders_share_no_key(store: MemoryStore, packing: Packing) -> None:
    """Equal bytes, numbers and streams: only the origin distinguishes the shards."""
    elements = [{"d": "a", "n": "x", "i": number % 50} for number in range(200)]
    counts = write_bounded(
        store, elements, limits=StreamLimits(lanes=4), tuning=Tuning(packing=packing, partial_shards="shuffle")
    )
    assert counts == dict.fromkeys(range(50), 4)
    origins = [info.key.rsplit("-", 3)[1] for info in store.list("data/")]
    assert len(origins) == len(set(origins)) == 4


# ---------------------------------------------------------------- bounded input, packed by state


def write_bounded(store: MemoryStore, elements: list[dict[str, Any]], **arguments: Any) -> dict[int, int]:
    """Write, and return how often each id is listed."""
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        made = pipeline | beam.Create([TimestampedValue(element, 1_000_000) for element in elements])
        made | WriteToS3Box(store, domain_field="d", namespace_field="n", **arguments)
    found = read_back(store)
    assert found.unlisted == []
    return dict(collections.Counter(record["i"] for record in found.all_records()))


@pytest.mark.parametrize("count", [0, 1, 7, 3_000])
@pytest.mark.parametrize(
    "windowing", [None, FixedWindows(60), SlidingWindows(60, 30)], ids=["global", "fixed", "sliding"]
)
def test_bounded_input_packed_by_state_lists_every_record_once(
    store: MemoryStore, count: int, windowing: WindowFn | None
) -> None:
    elements = [{"d": f"d{number % 3}", "n": "x", "i": number, "pad": "z" * 50} for number in range(count)]
    limits = StreamLimits(max_raw_bytes=10_000)
    counts = write_bounded(store, elements, tuning=Tuning(packing="stateful"), limits=limits, windowing=windowing)
    assert counts == dict.fromkeys(range(count), 2 if isinstance(windowing, SlidingWindows) else 1)
    assert all(len(strict_gunzip(store.get(info.key))) <= 10_000 for info in store.list("data/"))
