"""The write in the form that it has on Spark, run by Beam's own runner: windows, triggers, timestamps, lanes."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from beam_s3box import Manifests, StreamLimits, Tuning, WriteToS3Box
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.transforms import write
from tests.readback import read_back
from tests.transforms.writes import BY_FIELD, options, records

IN_PARTS: dict[str, Any] = {"tuning": Tuning(partial_shards="shuffle"), "limits": StreamLimits(max_records=7)}


@pytest.fixture(autouse=True)
def _form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "may_repeat_bundles", lambda records: records.is_bounded)


def stamped(count: int) -> list[Any]:
    return [beam.window.TimestampedValue({"d": "d", "n": f"n{i % 3}", "i": i}, i) for i in range(count)]


@pytest.mark.parametrize("manifests", ["auto", Manifests(count=2), Manifests(per="run", count=3)])
@pytest.mark.parametrize("lanes", [1, 3])
def test_shards_and_remainders_are_listed_once(store: MemoryStore, manifests: Any, lanes: int) -> None:
    limits = StreamLimits(max_records=7, lanes=lanes)
    with beam.Pipeline(options=options()) as pipeline:
        result = pipeline | beam.Create(records(100)) | WriteToS3Box(
            store, **BY_FIELD, manifests=manifests, limits=limits, tuning=Tuning(partial_shards="shuffle")
        )  # fmt: skip
        assert_that(result.shards | beam.Map(lambda file: file.records) | beam.CombineGlobally(sum), equal_to([100]))
    found = read_back(store)
    assert found.unlisted == []
    assert sorted(record["i"] for record in found.all_records()) == list(range(100))


def test_without_manifests_the_record_has_the_shards(store: MemoryStore) -> None:
    with beam.Pipeline(options=options()) as pipeline:
        pipeline | beam.Create(records(20)) | WriteToS3Box(store, **BY_FIELD, manifests=None, **IN_PARTS)
    found = read_back(store)
    assert found.manifests == {}
    assert found.shards


def test_a_run_of_nothing_finishes(store: MemoryStore) -> None:
    with beam.Pipeline(options=options()) as pipeline:
        pipeline | beam.Create([]) | WriteToS3Box(store, **BY_FIELD)
    assert read_back(store).manifests == {}


@pytest.mark.parametrize(
    ("windowing", "times"),
    [(beam.window.FixedWindows(10), 1), (beam.window.SlidingWindows(20, 10), 2)],
    ids=["fixed", "sliding"],
)
def test_windows_stay_apart(store: MemoryStore, windowing: Any, times: int) -> None:
    with beam.Pipeline(options=options()) as pipeline:
        windowed = pipeline | beam.Create(stamped(60)) | beam.WindowInto(windowing)
        windowed | WriteToS3Box(store, **BY_FIELD, **IN_PARTS)
    found = read_back(store)
    counts = collections.Counter(record["i"] for record in found.all_records())
    assert counts == dict.fromkeys(range(60), times)
    assert all(record["n"] == folder.split("/")[1] for folder, rows in found.records.items() for record in rows)


def test_a_trigger_that_fires_often_lists_nothing_twice(store: MemoryStore) -> None:
    often = beam.WindowInto(
        beam.window.FixedWindows(10),
        trigger=beam.trigger.Repeatedly(beam.trigger.AfterCount(1)),
        accumulation_mode=beam.trigger.AccumulationMode.DISCARDING,
    )
    with beam.Pipeline(options=options()) as pipeline:
        pipeline | beam.Create(stamped(40)) | often | WriteToS3Box(store, **BY_FIELD, **IN_PARTS)
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(40))
    assert found.unlisted == []


class WithTime(beam.DoFn):
    def process(self, letter: Any, time: Any = beam.DoFn.TimestampParam) -> Iterator[tuple[str, float]]:
        yield letter.reason, float(time)


def test_dead_letters_come_once_each_at_their_times(store: MemoryStore) -> None:
    bad = [beam.window.TimestampedValue({"d": "d", "i": i}, i) for i in (3, 14, 15)]
    with beam.Pipeline(options=options()) as pipeline:
        windowed = pipeline | beam.Create([*stamped(20), *bad]) | beam.WindowInto(beam.window.FixedWindows(10))
        result = windowed | WriteToS3Box(store, **BY_FIELD, **IN_PARTS)
        times = result.dead_letters | beam.ParDo(WithTime())
        assert_that(times, lambda found: check_times(found))
        assert_that(result.input_totals, lambda found: check_totals(found), label="totals")
    assert len(read_back(store).dead_letters) == 3


def check_times(found: list[tuple[str, float]]) -> None:
    assert sorted(found) == [("missing-stream", 3.0), ("missing-stream", 14.0), ("missing-stream", 15.0)]


def check_totals(found: list[tuple[str, Any]]) -> None:
    [(_, totals)] = found
    assert (totals.accepted, totals.rejected) == (20, 3)
