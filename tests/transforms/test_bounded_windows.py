"""Windows of bounded input: each has shards and a manifest of its own, however far off, and merging ones are refused."""

from __future__ import annotations

import collections
import datetime
import typing
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP

from beam_s3box import ConfigurationError, ShardFile, StreamLimits, Tuning, WriteToS3Box
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.transforms.tuning import Packing
from tests.readback import read_back
from tests.transforms.writes import BY_FIELD, options, records


def test_windows_of_bounded_input_stay_apart(store: MemoryStore) -> None:
    elements = [beam.window.TimestampedValue({"d": "d", "n": "n", "i": i}, i) for i in range(100)]
    with beam.Pipeline(options=options()) as pipeline:
        windowed = pipeline | beam.Create(elements) | beam.WindowInto(beam.window.FixedWindows(10))
        result = windowed | WriteToS3Box(store, **BY_FIELD, limits=StreamLimits(max_records=4))
        windows = result.shards | beam.ParDo(WindowStart())
        assert_that(windows, lambda found: check_windows(found))
    found = read_back(store)
    assert len(found.manifests) == 10
    assert found.unlisted == []
    for folder, rows in found.records.items():
        first = min(row["i"] for row in rows)
        assert folder == f"d/n/{moment(first)}-{moment(first + 10)}"
        assert {row["i"] for row in rows} == set(range(first, first + 10))
    assert sorted(record["i"] for record in found.all_records()) == list(range(100))


def moment(seconds: int) -> str:
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y%m%dT%H%M%SZ}"


class WindowStart(beam.DoFn):
    def process(self, file: ShardFile, window: Any = beam.DoFn.WindowParam) -> typing.Iterator[tuple[float, str]]:
        yield float(window.start), file.window


def check_windows(found: list[tuple[float, str]]) -> None:
    assert len({start for start, _ in found}) == len({name for _, name in found}) == 10
    assert len(found) == 30


@pytest.mark.parametrize("packing", ["group", "stateful"])
def test_a_time_that_is_far_off_is_a_window_like_any_other(store: MemoryStore, packing: Packing) -> None:
    """Milliseconds instead of seconds, no time at all, and the last one that Beam supports."""
    times = [1_700_000_000, 1_700_000_000_000, -(10**11), MIN_TIMESTAMP, MAX_TIMESTAMP]
    elements = [beam.window.TimestampedValue({"d": "d", "n": "n", "i": i}, time) for i, time in enumerate(times)]
    with beam.Pipeline(options=options()) as pipeline:
        windowed = pipeline | beam.Create(elements) | beam.WindowInto(beam.window.FixedWindows(60))
        windowed | WriteToS3Box(store, **BY_FIELD, tuning=Tuning(packing=packing))
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(5))
    assert len(found.manifests) == 5
    assert found.unlisted == []


def test_sliding_windows_hold_a_record_once_each(store: MemoryStore) -> None:
    elements = [beam.window.TimestampedValue({"d": "d", "n": "n", "i": i}, i) for i in range(40)]
    with beam.Pipeline(options=options()) as pipeline:
        windowed = pipeline | beam.Create(elements) | beam.WindowInto(beam.window.SlidingWindows(20, 10))
        windowed | WriteToS3Box(store, **BY_FIELD)
    counts = collections.Counter(record["i"] for record in read_back(store).all_records())
    assert counts == dict.fromkeys(range(40), 2)


def test_merging_windows_and_accumulating_panes_are_refused(store: MemoryStore) -> None:
    made = beam.Pipeline(options=options()) | beam.Create(records(1))
    sessions = made | "Sessions" >> beam.WindowInto(beam.window.Sessions(10))
    with pytest.raises(ConfigurationError, match=r"merge.*use fixed, sliding"):
        sessions | WriteToS3Box(store, **BY_FIELD)
    accumulating = made | "Accumulating" >> beam.WindowInto(
        beam.window.FixedWindows(10),
        trigger=beam.trigger.Repeatedly(beam.trigger.AfterCount(1)),
        accumulation_mode=beam.trigger.AccumulationMode.ACCUMULATING,
    )
    with pytest.raises(ConfigurationError, match=r"use AccumulationMode\.DISCARDING"):
        accumulating | "Again" >> WriteToS3Box(store, **BY_FIELD)
