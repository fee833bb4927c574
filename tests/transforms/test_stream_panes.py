"""Unbounded input by window: each firing lists what no earlier one listed, and nothing moves to another window."""

from __future__ import annotations

import collections
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.coders import StrUtf8Coder
from apache_beam.coders.coders import IntervalWindowCoder
from apache_beam.transforms.trigger import AccumulationMode, AfterCount, AfterProcessingTime, AfterWatermark
from apache_beam.transforms.window import (
    BoundedWindow,
    FixedWindows,
    GlobalWindows,
    IntervalWindow,
    NonMergingWindowFn,
    SlidingWindows,
    WindowFn,
)

from beam_s3box import Manifests, StreamLimits
from beam_s3box.shards.packing import BY_LATENESS, BY_RECORDS, BY_SECONDS, BY_WINDOW_END
from beam_s3box.stores.memory import MemoryStore
from tests.transforms.streams import END_OF_TIME, Script, Written, write

FIRST, SECOND = "a/x/19700101T000000Z-19700101T000100Z", "a/x/19700101T000100Z-19700101T000200Z"
ONE_SECOND = StreamLimits(max_seconds=1)
EACH = StreamLimits(max_records=1)


def manifest(pane: int, number: int = 0) -> str:
    return f"{pane}-{number:05d}.manifest"


def check_places(written: Written) -> None:
    """Shards and manifests are in the window that they name, at its last moment, and list shards of that window alone."""
    for item in (*written.shards, *written.manifests):
        assert item.timestamp == float(item.window.max_timestamp())
    assert all(item.value.window in item.value.key for item in written.shards)
    names: collections.defaultdict[Any, set[str]] = collections.defaultdict(set)
    for item in (*written.shards, *written.manifests):
        names[item.window].add(item.value.window)
    assert all(len(name) == 1 for name in names.values())
    assert len({next(iter(name)) for name in names.values()}) == len(names)
    for item in written.manifests:
        assert all(f"/{item.value.window}/" in url for url in written.found.manifests[item.value.key])


# ---------------------------------------------------------------- the end of a window


def test_the_end_of_a_window_seals_and_lists(store: MemoryStore) -> None:
    script = Script().add(0, at=0).add(1, at=59.999).add(2, at=60).watermark(59).watermark(60).watermark(120)
    written = write(script, store)
    assert written.sealed() == [(BY_WINDOW_END, [0, 1]), (BY_WINDOW_END, [2])]
    assert written.listed() == {f"{FIRST}/{manifest(0)}": [0, 1], f"{SECOND}/{manifest(0)}": [2]}
    assert written.found.unlisted == []
    check_places(written)


@pytest.mark.parametrize(("watermark", "expected"), [(59, []), (60, [(0, [0])])])
def test_before_its_end_a_window_has_no_manifest(
    store: MemoryStore, watermark: int, expected: list[tuple[int, list[int]]]
) -> None:
    """The output of the end of the script is lost on this runner: only what was emitted before is checked."""
    written = write(Script().add(0, at=1).watermark(watermark), store, allowed_lateness=1)
    assert written.panes() == expected


def test_a_shard_sealed_by_time_waits_for_the_end_to_be_listed(store: MemoryStore) -> None:
    script = Script().add(0, at=1).wait(1).add(1, at=2).wait(1).add(2, at=1, stream="marker").watermark(60)
    written = write(script, store, limits=ONE_SECOND)
    assert written.sealed() == [(BY_SECONDS, [0]), (BY_SECONDS, [1])]
    assert written.panes()[0] == (0, [0, 1])
    check_places(written)


def test_the_watermark_at_the_end_of_time_seals_everything(store: MemoryStore) -> None:
    """A drain. Everything is also listed if the runner leaves time for the manifests, as this one does step by step."""
    script = Script().add(0, at=1).add(1, at=61).add(2, at=1, stream="b").add(3, at=100_000)
    written = write(script, store, limits=StreamLimits(max_seconds=None))
    assert sorted(ids for stream in "ab" for _, ids in written.sealed(stream)) == [[0], [1], [2], [3]]
    assert {reason for stream in "ab" for reason, _ in written.sealed(stream)} == {BY_WINDOW_END}


def test_a_drain_step_by_step_lists_everything(store: MemoryStore) -> None:
    script = Script()
    for number in range(30):
        script.add(number, at=number * 10, stream="abc"[number % 3])
    for end in range(60, 361, 60):
        script.watermark(end)
    written = write(script, store)
    assert written.all_ids() == list(range(30))
    assert written.found.unlisted == []
    check_places(written)


# ---------------------------------------------------------------- late records


def test_late_records_are_sealed_at_once_and_in_late_panes(store: MemoryStore) -> None:
    script = Script().add(0, at=1).watermark(60).add(1, at=2).add(2, 3, at=3).watermark(90)
    written = write(script, store, allowed_lateness=100)
    assert written.sealed() == [(BY_WINDOW_END, [0]), (BY_LATENESS, [1]), (BY_LATENESS, [2, 3])]
    assert written.panes() == [(0, [0]), (1, [1]), (2, [2, 3])]
    assert written.counts["records_late"] == 3
    assert written.counts["shards_by_lateness"] == 2
    assert written.found.unlisted == []
    check_places(written)


def test_a_late_record_of_a_stream_that_had_none_on_time(store: MemoryStore) -> None:
    """Its window was never opened, so only the watermark of the runner shows that it has ended."""
    script = Script().add(0, at=1, stream="b").watermark(60).add(1, at=2).watermark(90)
    written = write(script, store, allowed_lateness=100)
    assert [ids for _, ids in written.sealed()] == [[1]]
    assert written.all_ids() == [0, 1]
    assert written.found.unlisted == []
    check_places(written)


def test_late_records_come_into_no_other_window(store: MemoryStore) -> None:
    script = Script().add(0, at=1).watermark(60).add(1, at=61).add(2, at=2).watermark(120).add(3, at=62).watermark(150)
    written = write(script, store)
    assert written.listed() == {
        f"{FIRST}/{manifest(0)}": [0],
        f"{FIRST}/{manifest(1)}": [2],
        f"{SECOND}/{manifest(0)}": [1],
        f"{SECOND}/{manifest(1)}": [3],
    }
    assert written.counts["records_late"] == 2
    check_places(written)


def test_beyond_the_lateness_a_shard_is_there_and_no_manifest_lists_it(store: MemoryStore) -> None:
    script = Script().add(0, at=1).watermark(60).watermark(91).add(1, at=2).watermark(110).add(2, at=3)
    written = write(script, store, allowed_lateness=30)
    assert written.sealed() == [(BY_WINDOW_END, [0]), (BY_LATENESS, [1]), (BY_LATENESS, [2])]
    assert written.listed() == {f"{FIRST}/{manifest(0)}": [0]}
    assert len(written.found.unlisted) == 2
    assert written.counts["records_late"] == 2
    check_places(written)


def test_an_ended_window_is_remembered_as_long_as_late_records_are_allowed(store: MemoryStore) -> None:
    script = Script().add(0, at=1).watermark(60).watermark(600).add(1, at=2).watermark(650)
    written = write(script, store, allowed_lateness=600)
    assert written.sealed() == [(BY_WINDOW_END, [0]), (BY_LATENESS, [1])]
    assert written.panes() == [(0, [0]), (1, [1])]


def test_an_ended_window_is_forgotten_then_and_nothing_waits_all_the_same(store: MemoryStore) -> None:
    """The timer for the end is set again, and fires at once; a DoFn that lives longer than here still knows."""
    script = Script().add(0, at=1).watermark(60).watermark(1_000).add(1, at=2).add(2, at=3).watermark(2_000)
    written = write(script, store, allowed_lateness=30)
    assert written.sealed() == [(BY_WINDOW_END, [0]), (BY_WINDOW_END, [1]), (BY_WINDOW_END, [2])]
    assert written.listed() == {f"{FIRST}/{manifest(0)}": [0]}
    check_places(written)


def test_a_trickle_of_late_records_delays_nothing(store: MemoryStore) -> None:
    script = Script()
    for window in range(4):
        script.add(window, at=60 * window)
        if window:
            script.add(10 + window, at=60 * window - 5)
        script.watermark(60 * window + 60)
    written = write(script, store)
    assert [pane for pane, ids in written.panes() if ids[0] < 10] == [0] * 4
    assert written.all_ids() == [0, 1, 2, 3, 11, 12, 13]
    check_places(written)


# ---------------------------------------------------------------- early firings and several panes


def test_early_firings_list_what_is_new(store: MemoryStore) -> None:
    script = Script()
    for number in range(3):
        script.add(number, at=1).wait(10)
    written = write(script.add(3, at=1).watermark(60), store, limits=ONE_SECOND, triggering_frequency=5)
    assert [ids for _, ids in written.panes()] == [[0], [1], [2], [3]]
    assert [pane for pane, _ in written.panes()] == sorted({pane for pane, _ in written.panes()})
    assert written.found.unlisted == []
    check_places(written)


def test_a_firing_without_shards_writes_nothing(store: MemoryStore) -> None:
    """An early one listed everything; the one at the end of the window has nothing, nor does that of another window."""
    script = Script().add(0, at=1).wait(1).wait(5).wait(60).watermark(60).watermark(120).watermark(180)
    written = write(script, store, limits=ONE_SECOND, triggering_frequency=5)
    assert written.panes() == [(0, [0])]
    assert written.counts["manifests"] == 1


def test_a_stream_without_records_writes_nothing(store: MemoryStore) -> None:
    written = write(Script().watermark(60).wait(60).watermark(120), store, triggering_frequency=5)
    assert (written.shards, written.manifests, written.found.shards) == ([], [], [])
    assert list(store.list()) == []


def test_a_trigger_of_ones_own(store: MemoryStore) -> None:
    """Of several shards in one firing, and of several firings."""
    windowing = beam.WindowInto(
        FixedWindows(60),
        trigger=AfterWatermark(early=AfterCount(2), late=AfterCount(1)),
        accumulation_mode=AccumulationMode.DISCARDING,
        allowed_lateness=600,
    )
    script = Script()
    for number in range(5):
        script.add(number, at=1)
    written = write(script.watermark(60), store, limits=EACH, windowing=windowing, allowed_lateness=None)
    assert written.panes() == [(0, [0, 1]), (1, [2, 3]), (2, [4])]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_as_many_manifests_a_firing_as_asked(store: MemoryStore, count: int) -> None:
    script = Script().add(0, at=1).add(1, at=1).add(2, at=1).wait(5).add(3, at=1).watermark(60)
    written = write(script, store, limits=EACH, triggering_frequency=5, manifests=Manifests(count=count))
    first = min(count, 3)
    assert sorted(written.listed()) == sorted(
        [f"{FIRST}/{manifest(0, number)}" for number in range(first)] + [f"{FIRST}/{manifest(1)}"]
    )
    assert written.all_ids() == [0, 1, 2, 3]


def test_one_manifest_a_firing_over_all_streams(store: MemoryStore) -> None:
    """The one at the end of the window lists everything that no earlier one listed."""
    script = Script().add(0, at=1, stream="a").add(1, at=1, stream="b").wait(5)
    script.add(2, at=1, stream="b").add(3, at=1, stream="c").watermark(60).add(4, at=1, stream="a").watermark(90)
    written = write(script, store, limits=EACH, triggering_frequency=5, manifests=Manifests(per="run"))
    window = FIRST.removeprefix("a/x/")
    assert written.listed() == {
        f"{window}/{manifest(0)}": [0, 1],
        f"{window}/{manifest(1)}": [2, 3],
        f"{window}/{manifest(2)}": [4],
    }
    assert {(item.value.domain, item.value.namespace) for item in written.manifests} == {(None, None)}


# ---------------------------------------------------------------- kinds of windows


def test_sliding_windows_list_a_record_in_each_of_its_own(store: MemoryStore) -> None:
    script = Script().add(0, at=5).add(1, at=15).add(2, at=25)
    for end in range(10, 61, 10):
        script.watermark(end)
    script.add(3, at=25).watermark(70)
    written = write(script, store, windowing=SlidingWindows(20, 10))
    ids = {(start, pane): ids for (start, pane), ids in _by_start(written).items()}
    assert ids == {
        (-10, 0): [0], (0, 0): [0, 1], (10, 0): [1, 2], (20, 0): [2], (10, 1): [3], (20, 1): [3],
    }  # fmt: skip
    assert written.found.unlisted == []
    check_places(written)


def _by_start(written: Written) -> dict[tuple[float, int], list[int]]:
    listed = written.listed()
    return {(float(item.window.start), item.value.pane): listed[written.name(item.value)] for item in written.manifests}


class ByParity(NonMergingWindowFn):
    """Windows of a minute that depend on the record: for odd numbers they begin 30 seconds later."""

    def assign(self, context: WindowFn.AssignContext) -> list[IntervalWindow]:
        shift = 30 * (context.element["i"] % 2)
        start = (float(context.timestamp) - shift) // 60 * 60 + shift
        return [IntervalWindow(start, start + 60)]

    def get_window_coder(self) -> Any:
        return IntervalWindowCoder()


def test_windows_that_depend_on_the_record(store: MemoryStore) -> None:
    script = Script()
    for number in range(6):
        script.add(number, at=40 + number)
    written = write(script.watermark(60).add(6, at=41).watermark(90), store, windowing=ByParity())
    assert _by_start(written) == {(0, 0): [0, 2, 4], (0, 1): [6], (30, 0): [1, 3, 5]}
    assert written.found.unlisted == []
    check_places(written)


class Shift(BoundedWindow):
    """A minute of one shift; those of two shifts end together."""

    def __init__(self, name: str) -> None:
        super().__init__(60)
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shift) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"Shift({self.name})"


class ShiftCoder(beam.coders.Coder):
    def encode(self, value: Shift) -> bytes:
        encoded: bytes = StrUtf8Coder().encode(value.name)
        return encoded

    def decode(self, encoded: bytes) -> Shift:
        return Shift(StrUtf8Coder().decode(encoded))

    def is_deterministic(self) -> bool:
        return True


class Shifts(NonMergingWindowFn):
    def assign(self, context: WindowFn.AssignContext) -> list[Shift]:
        return [Shift("early" if context.element["i"] % 2 else "late")]

    def get_window_coder(self) -> Any:
        return ShiftCoder()


def test_windows_of_ones_own_class_that_end_together_stay_apart(store: MemoryStore) -> None:
    script = Script()
    for number in range(4):
        script.add(number, at=1)
    written = write(script.watermark(60).add(5, at=2).watermark(90), store, windowing=Shifts())
    listed = written.listed()
    assert sorted(listed.values()) == [[0, 2], [1, 3], [5]]
    assert len({key.split("/")[-2] for key in listed}) == 2
    assert {(repr(item.window), item.value.pane) for item in written.manifests} == {
        ("Shift(late)", 0), ("Shift(early)", 0), ("Shift(early)", 1),
    }  # fmt: skip
    check_places(written)


@pytest.mark.parametrize("windowing", [None, GlobalWindows()])
def test_the_global_window_with_early_firings_and_a_drain(store: MemoryStore, windowing: WindowFn | None) -> None:
    script = Script().add(0, at=1).wait(1).wait(10).add(1, at=2).add(2, at=100_000).wait(1).wait(10)
    script.add(3, at=3).watermark(END_OF_TIME)
    written = write(script, store, limits=ONE_SECOND, windowing=windowing, triggering_frequency=10)
    assert written.sealed() == [(BY_SECONDS, [0]), (BY_SECONDS, [1, 2]), (BY_WINDOW_END, [3])]
    assert [ids for _, ids in written.panes()] == [[0], [1, 2], [3]]
    assert all("/a/x/" in key and key.count("/") == 4 for key in written.found.manifests)
    assert written.found.unlisted == []


@pytest.mark.parametrize("function", [FixedWindows(60), ByParity()], ids=["fixed", "by record"])
def test_a_window_into_says_all_of_it(store: MemoryStore, function: WindowFn) -> None:
    windowing = beam.WindowInto(
        function,
        trigger=AfterWatermark(early=AfterProcessingTime(5), late=AfterCount(1)),
        accumulation_mode=AccumulationMode.DISCARDING,
        allowed_lateness=600,
    )
    script = Script().add(0, at=1).wait(1).wait(5).add(2, at=2).watermark(60).add(4, at=3).watermark(90)
    written = write(script, store, limits=ONE_SECOND, windowing=windowing, allowed_lateness=None)
    assert [ids for _, ids in written.panes()] == [[0], [2], [4]]
    assert written.found.unlisted == []
    check_places(written)


def test_size_limits_hold_in_every_window(store: MemoryStore) -> None:
    script = Script()
    for number in range(12):
        script.add(number, at=10 * number)
    written = write(script.watermark(60).watermark(120), store, limits=StreamLimits(max_records=4, max_seconds=None))
    assert written.sealed() == [
        (BY_RECORDS, [0, 1, 2, 3]), (BY_RECORDS, [6, 7, 8, 9]), (BY_WINDOW_END, [4, 5]), (BY_WINDOW_END, [10, 11]),
    ]  # fmt: skip
    check_places(written)
