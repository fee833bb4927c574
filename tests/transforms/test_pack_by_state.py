"""The step with state and timers: what it sets, keeps and rejects; runners hide some of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindow,
    GlobalWindows,
    IntervalWindow,
    TimestampedValue,
    WindowFn,
)
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Duration, Timestamp

from beam_s3box.errors import ConfigurationError
from beam_s3box.formats import JSON_ARRAY, JSON_LINES, AvroFormat, Format
from beam_s3box.records.streams import Stream
from beam_s3box.shards.limits import LimitsForAll, StreamLimits
from beam_s3box.shards.packing import BY_LATENESS, BY_SECONDS, BY_WINDOW_END
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.transforms.pack_by_state import Key, _KeyByWindow, _PackByState
from beam_s3box.transforms.plan import WritePlan
from beam_s3box.transforms.rewindow import _KeepOwnWindow
from beam_s3box.transforms.windows import Windows, last_moment
from tests.transforms.plans import write_plan

MINUTE = FixedWindows(60)
NOW = 1_000.0
SCHEMAS = [
    {"type": "record", "name": "R", "fields": [{"name": "i", "type": "int"}, *more]}
    for more in ([], [{"name": "j", "type": "int", "default": 0}])
]


class Bag:
    """The bag state of one key."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def add(self, value: Any) -> None:
        self.values.append(value)

    def read(self) -> Iterator[Any]:
        return iter(list(self.values))

    def clear(self) -> None:
        self.values.clear()


class Cell:
    """The value state of one key, and how often it was written."""

    def __init__(self) -> None:
        self.value: Any = None
        self.writes = 0

    def read(self) -> Any:
        return self.value

    def write(self, value: Any) -> None:
        self.value, self.writes = value, self.writes + 1

    def clear(self) -> None:
        self.value = None


class Timer:
    """The timer of one key: due at one time, or never."""

    def __init__(self) -> None:
        self.due: Timestamp | None = None

    def set(self, timestamp: Timestamp) -> None:
        self.due = timestamp

    def clear(self) -> None:
        self.due = None


class Held:
    """The state that a runner keeps for one key."""

    def __init__(self) -> None:
        self.segments, self.cell, self.arrived = Bag(), Cell(), Cell()
        self.end, self.age, self.forget = Timer(), Timer(), Timer()

    def is_untouched(self) -> bool:
        timers = (self.end.due, self.age.due, self.forget.due)
        return (
            timers == (None, None, None)
            and not self.cell.writes
            and not self.arrived.writes
            and not self.segments.values
        )


def plan_for(format: Format = JSON_LINES) -> WritePlan:
    limits = LimitsForAll(StreamLimits(max_seconds=10))
    return write_plan(MemoryStore("pack-by-state"), format=format, limits_of=limits, unbounded=True)


def packer(plan: WritePlan, lateness: float = 300) -> _PackByState:
    step = _PackByState(plan, Duration.of(lateness), lambda: NOW)
    step.setup()
    return step


def keyed(plan: WritePlan, window: Any, format: Format, line: bytes = b'{"i":1}', name: str = "n") -> tuple[Key, Any]:
    step = _KeyByWindow(plan)
    step.start_bundle()
    [element] = step.process((("d", name, 0), tuple(format.cut([line]))), window)
    return element


def process(step: _PackByState, element: tuple[Key, Any], held: Held) -> list[TimestampedValue]:
    return list(step.process(element, held.segments, held.cell, held.arrived, held.end, held.age))


def on_end(step: _PackByState, key: Key, held: Held) -> list[TimestampedValue]:
    return list(step.on_end(key, held.segments, held.cell, held.arrived, held.age, held.forget))


def on_age(step: _PackByState, key: Key, held: Held) -> list[TimestampedValue]:
    return list(step.on_age(key, held.segments, held.cell, held.arrived))


def reasons(outputs: list[TimestampedValue]) -> list[str]:
    return [output.value[1].reason for output in outputs]


# ---------------------------------------------------------------- timers


def test_a_first_record_sets_the_end_within_its_window_and_the_age_by_the_clock() -> None:
    """`window.end` belongs to the next window: the output of a timer there would be in it."""
    plan, held, window = plan_for(), Held(), IntervalWindow(60, 120)
    step, element = packer(plan), keyed(plan, window, JSON_LINES)
    assert process(step, element, held) == []
    assert held.end.due == window.max_timestamp() < window.end
    assert held.age.due == Timestamp(NOW + 10)
    [output] = on_end(step, element[0], held)
    assert reasons([output]) == [BY_WINDOW_END]
    assert output.timestamp == window.max_timestamp()
    assert held.age.due is None, "left behind, it makes Flink's job spin for ever"
    assert held.forget.due == window.max_timestamp() + Duration(300)


@pytest.mark.parametrize("time", [GlobalWindow().max_timestamp(), MAX_TIMESTAMP])
def test_no_timer_is_due_behind_the_end_of_time(time: Timestamp) -> None:
    [window] = MINUTE.assign(WindowFn.AssignContext(time))
    plan, held = plan_for(), Held()
    step, element = packer(plan), keyed(plan, window, JSON_LINES)
    process(step, element, held)
    assert held.end.due is not None
    assert held.end.due <= GlobalWindow().max_timestamp()
    [output] = on_end(step, element[0], held)
    assert window.start <= output.timestamp <= last_moment(window)
    assert held.forget.due is None or held.forget.due <= GlobalWindow().max_timestamp()


def test_a_segment_that_is_larger_than_a_shard_leaves_the_time_limit_of_what_waits() -> None:
    """As in a job that was updated to smaller limits."""
    limits = LimitsForAll(StreamLimits(max_raw_bytes=20, max_seconds=10))
    plan = write_plan(MemoryStore("pack-by-state"), format=JSON_LINES, limits_of=limits, unbounded=True)
    step, held, window = packer(plan), Held(), IntervalWindow(0, 60)
    assert process(step, keyed(plan, window, JSON_LINES), held) == []
    [shard] = process(step, keyed(plan, window, JSON_LINES, b'{"i":"%b"}' % (b"x" * 50)), held)
    assert [segment.raw_bytes > 50 for segment in shard.value[1].segments] == [True]
    assert held.age.due == Timestamp.of(NOW + 10)
    assert len(held.segments.values) == 1


def test_a_late_record_of_a_window_that_has_state_is_a_shard_without_a_timer() -> None:
    plan, held = plan_for(), Held()
    step, element = packer(plan), keyed(plan, IntervalWindow(0, 60), JSON_LINES)
    process(step, element, held)
    on_end(step, element[0], held)
    held.end.clear()
    assert reasons(process(step, element, held)) == [BY_LATENESS]
    assert (held.end.due, held.age.due, held.segments.values) == (None, None, [])


def test_a_late_record_of_a_window_that_is_known_to_be_over_touches_neither_state_nor_timers() -> None:
    """A timer in the past would fire at once, and hold the watermark until then."""
    plan, first, second = plan_for(), Held(), Held()
    step, window = packer(plan), IntervalWindow(0, 60)
    element = keyed(plan, window, JSON_LINES)
    process(step, element, first)
    on_end(step, element[0], first)
    assert reasons(process(step, keyed(plan, window, JSON_LINES, name="other"), second)) == [BY_LATENESS]
    assert second.is_untouched()
    open_ = Held()
    assert process(step, keyed(plan, IntervalWindow(60, 120), JSON_LINES, name="other"), open_) == []
    assert not open_.is_untouched()


def test_timers_that_fire_for_nothing_emit_nothing() -> None:
    plan, held = plan_for(), Held()
    step, (key, _) = packer(plan), keyed(plan, IntervalWindow(0, 60), JSON_LINES)
    assert on_age(step, key, held) == on_end(step, key, held) == []
    assert held.is_untouched()


# ---------------------------------------------------------------- a job that is updated in place


def avro(number: int, codec: Any = "deflate") -> AvroFormat:
    return AvroFormat(SCHEMAS[number], codec=codec, for_redshift=True)


def line_for(format: Format) -> bytes:
    return format.encoder(Stream("d", "n"))(b'{"i":1}') if isinstance(format, AvroFormat) else b'{"i":1}'


OTHERS = [
    (JSON_LINES, JSON_ARRAY),
    (JSON_LINES, avro(0)),
    (avro(0), JSON_LINES),
    (avro(0), avro(1)),
    (avro(0), avro(0, "null")),
]


@pytest.mark.parametrize(("before", "after"), OTHERS)
@pytest.mark.parametrize("fires", [on_age, on_end])
def test_state_of_another_format_is_never_sealed_as_this_ones(before: Format, after: Format, fires: Any) -> None:
    held, window = Held(), IntervalWindow(0, 60)
    old, new = plan_for(before), plan_for(after)
    element = keyed(old, window, before, line_for(before))
    process(packer(old), element, held)
    with pytest.raises(ConfigurationError, match=r"has records of d/n as .*go back to the previous pipeline"):
        fires(packer(new), element[0], held)
    assert len(held.segments.values) == 1, "the old pipeline still finds it"
    assert reasons(fires(packer(old), element[0], held)) == [BY_SECONDS if fires is on_age else BY_WINDOW_END]


@pytest.mark.parametrize(("before", "after"), OTHERS)
def test_segments_of_another_format_on_their_way_never_meet_this_ones(before: Format, after: Format) -> None:
    held, window = Held(), IntervalWindow(0, 60)
    old, new = plan_for(before), plan_for(after)
    late, first = (keyed(plan, window, format, line_for(format)) for plan, format in ((old, before), (new, after)))
    assert late[0] != first[0], "a runner keeps state by key"
    with pytest.raises(ConfigurationError, match="format: the state of the job"):
        process(packer(new), late, held)
    assert held.is_untouched()


def test_another_level_is_the_same_format() -> None:
    plain, small = (dataclasses.replace(JSON_LINES, compression_level=level) for level in (1, 9))
    held, window = Held(), IntervalWindow(0, 60)
    element = keyed(plan_for(plain), window, plain)
    process(packer(plan_for(plain)), element, held)
    step = packer(plan_for(small))
    process(step, keyed(plan_for(small), window, small), held)
    [output] = on_end(step, element[0], held)
    assert small.join(output.value[1].segments) != b""
    assert sum(segment.records for segment in output.value[1].segments) == 2


def test_streams_with_schemas_of_their_own_have_fingerprints_of_their_own() -> None:
    plan = plan_for(AvroFormat({"d/n": SCHEMAS[0], "*": SCHEMAS[1]}, for_redshift=True))
    window = IntervalWindow(0, 60)
    segment = avro(0)
    keys = [keyed(plan, window, segment, line_for(segment), name)[0] for name in ("n", "other")]
    assert [key[4] for key in keys] == [avro(0).fingerprint, avro(1).fingerprint]


@pytest.mark.parametrize("windowfn", [FixedWindows(300), FixedWindows(60, 30)])
def test_a_shard_in_a_window_that_the_pipeline_does_not_have_is_an_error_and_not_dropped(windowfn: WindowFn) -> None:
    own = IntervalWindow(0, 60)
    encoded = Windows(MINUTE).encode(own)
    [assigned] = windowfn.assign(WindowFn.AssignContext(own.max_timestamp()))
    with pytest.raises(ConfigurationError, match="windows that this pipeline does not have"):
        list(_KeepOwnWindow(Windows(windowfn)).process((encoded, "shard"), assigned))
    assert list(_KeepOwnWindow(Windows(MINUTE)).process((encoded, "shard"), own)) == ["shard"]


def test_the_global_window_is_one_of_its_own() -> None:
    windows = Windows(GlobalWindows())
    assert list(_KeepOwnWindow(windows).process((windows.encode(GlobalWindow()), 1), GlobalWindow())) == [1]
    assert windows.are_of(windows.encode(GlobalWindow()))
