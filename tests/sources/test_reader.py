"""A reader from bundle to bundle, as runners run it: claimed, put off, taken away, stopped, tried again."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from beam_s3box.records.batches import LineBatch
from beam_s3box.shards.runs import new_token
from beam_s3box.sources.elements import Batches, Rows
from beam_s3box.sources.positions import PartRange, PartsProvider, ReaderWork
from beam_s3box.sources.reader import COUNTS, RANGES, Reading, ReadParts
from beam_s3box.sources.times import ArrivalTimes
from beam_s3box.sources.watermark import MICROS, Pacing
from tests.sources.fakes import NOW, MemorySource, run_bundle

MILLIS = NOW * 1_000
PACING = Pacing(delay=2, idle=0, look=10, bundle=0.2)


class Notices:
    def __init__(self) -> None:
        self.is_asked = False

    def is_stop_asked(self) -> bool:
        return self.is_asked


def step(source: MemorySource, *, now: float = NOW, pacing: Pacing = PACING, **changes: Any) -> ReadParts:
    reading = Reading(source, ArrivalTimes(MICROS), Batches(), pacing, new_token(8), clock=lambda: now)
    return ReadParts(reading._replace(**changes))


def begin(source: MemorySource) -> ReaderWork:
    return PartsProvider().initial_restriction((0, 1, 0, tuple(source.first().items())))


def lines(records: list[tuple[int, LineBatch]]) -> list[bytes]:
    return [line for _, batch in records for line in batch.lines]


def records(*seconds: float) -> list[tuple[int, bytes]]:
    return [(int((NOW + second) * 1_000), b"%g" % second) for second in seconds]


def test_a_bundle_reads_until_nothing_comes_and_the_next_goes_on() -> None:
    source = MemorySource(a=records(-9, -8, -7), b=records(-6))
    read = step(source)
    first = run_bundle(read, begin(source))
    assert sorted(lines(first.records)) == [b"-6", b"-7", b"-8", b"-9"]
    assert first.rest == ReaderWork((PartRange("a", "0", "3"), PartRange("b", "0", "1")), False)
    assert first.tagged == {COUNTS: [("records_read", 4)]}
    assert first.watermark == NOW - 2, "all parts are at their ends"
    assert 0 < first.wait <= 0.2, "the bundles of a step come at its pace"
    source.parts["b"] += records(-1)
    second = run_bundle(read, first.rest)
    assert lines(second.records) == [b"-1"]
    assert len(source.opened) == 1, "the reader waited, opened"
    assert source.opened[0].notes == [{"a": "0", "b": "0"}, {"a": "3", "b": "1"}]


def test_batches_do_not_reach_over_a_period_and_know_their_places() -> None:
    source = MemorySource(a=records(-9, -8.5, -8.4))
    found = run_bundle(step(source), begin(source)).records
    assert [(micros - NOW * MICROS, batch.lines, list(batch.numbers)) for micros, batch in found] == [
        (-9 * MICROS, [b"-9", b"-8.5"], [0, 1]),
        (-9 * MICROS, [b"-8.4"], [2]),
    ]
    assert {batch.source for _, batch in found} == {"memory://a"}
    assert all(batch.has_positions for _, batch in found)


def test_rows_have_the_times_of_their_records() -> None:
    source = MemorySource(a=records(-9, -8.5))
    found = run_bundle(step(source, elements=Rows()), begin(source)).records
    assert found == [(millis * 1_000, value) for millis, value in source.parts["a"]]


def test_what_a_runner_takes_away_is_read_by_whoever_goes_on() -> None:
    source = MemorySource(a=records(-9, -8, -7, -6))
    read = step(source)
    first = run_bundle(read, begin(source), split_after=1)
    assert lines(first.records) == [b"-9", b"-8"], "what was claimed is still emitted"
    assert first.rest is not None
    assert first.rest.ranges == (PartRange("a", "0", "2"),)
    assert source.opened[0].is_closed


def test_what_is_claimed_is_emitted_once_whatever_is_taken_away() -> None:
    source = MemorySource(a=records(*range(-20, 0)))
    for after in range(1, 12):
        read = step(source, pacing=PACING._replace(bundle=60))
        found: list[bytes] = []
        rest: ReaderWork | None = begin(source)
        is_first = True
        while rest is not None and rest.ranges[0].position != "20":
            bundle = run_bundle(read, rest, split_after=after if is_first else None)
            found += lines(bundle.records)
            rest, is_first = bundle.rest, False
        assert found == [b"%d" % second for second in range(-20, 0)]


def test_work_that_belongs_to_somebody_else_is_left_alone() -> None:
    source = MemorySource(a=records(-9))
    bundle = run_bundle(step(source), ReaderWork(begin(source).ranges, True))
    assert (bundle.records, bundle.rest, source.opened) == ([], None, [])


def test_a_busy_reader_ends_its_bundle_in_time() -> None:
    source = MemorySource(a=records(*range(-2_000_000, 0)))
    bundle = run_bundle(step(source, pacing=PACING._replace(bundle=0.1)), begin(source))
    assert bundle.rest is not None
    assert 0 < len(lines(bundle.records)) < 2_000_000
    assert bundle.wait <= 0


def test_a_stop_ends_where_the_reader_is() -> None:
    source, notices = MemorySource(a=records(-9, -8, -7), b=[]), Notices()
    read = step(source, notices=notices)
    first = run_bundle(read, begin(source))
    notices.is_asked = True
    source.parts["a"] += records(-1)
    assert first.rest is not None
    last = run_bundle(read, first.rest)
    assert (last.records, last.rest) == ([], None)
    assert last.tagged == {RANGES: [PartRange("a", "0", "3"), PartRange("b", "0", "0")]}
    assert source.opened[0].is_closed


def test_a_time_to_stop_counts_from_the_begin_of_all_readers() -> None:
    source = MemorySource(a=records(-9))
    pacing = PACING._replace(stop_after=60)
    assert run_bundle(step(source, pacing=pacing), begin(source), begun=NOW - 59).rest is not None
    assert run_bundle(step(source, pacing=pacing), begin(source), begun=NOW - 60).rest is None


def test_parts_that_appear_are_read_by_their_reader() -> None:
    source = MemorySource(a=records(-9))
    read = step(source)
    work = begin(source)
    source.parts |= {"b": records(-5), "c": records(-4)}
    bundle = run_bundle(read, work, reader=(1, 2))  # a and c are odd
    assert sorted(lines(bundle.records)) == [b"-4", b"-9"]
    assert bundle.rest is not None
    assert [one.part for one in bundle.rest.ranges] == ["a", "c"]


def test_a_source_that_does_not_answer_holds_the_watermark() -> None:
    source = MemorySource(a=records(-100))
    source.is_lost = True
    read = step(source)
    bundle = run_bundle(read, begin(source))
    assert (bundle.records, bundle.watermark) == ([], None)
    source.is_lost = False
    assert bundle.rest is not None
    assert run_bundle(read, bundle.rest).watermark == NOW - 2


def test_the_watermark_never_goes_back() -> None:
    source = MemorySource(a=records(-100))
    read = step(source, pacing=PACING._replace(idle=60))
    kept = run_bundle(step(MemorySource(a=[])), begin(source))
    assert kept.watermark == NOW - 2
    from apache_beam.utils.timestamp import Timestamp

    assert run_bundle(read, begin(source), watermark=Timestamp(NOW - 2)).watermark == NOW - 2


def test_a_failure_closes_the_reader() -> None:
    source = MemorySource(a=records(-9))
    source.failure = RuntimeError("lost")
    with pytest.raises(RuntimeError, match="lost"):
        run_bundle(step(source), begin(source))
    assert source.opened[0].is_closed


def test_one_estimate_for_all_readers_waits_for_each() -> None:
    source = MemorySource(a=records(-9), b=records(-50))
    reading = Reading(source, ArrivalTimes(MICROS), Batches(), PACING, new_token(8), gathers=True, clock=lambda: NOW)
    read = ReadParts(reading._replace(pacing=PACING._replace(idle=60)))
    works = [PartsProvider().initial_restriction((n, 2, 0, (("ba"[n], "0"),))) for n in range(2)]
    first = run_bundle(read, works[1], reader=(1, 2))
    assert first.watermark is None, "nobody knows of the other"
    other = run_bundle(read, works[0], reader=(0, 2))
    assert other.watermark is None, "of the first one nothing was committed yet"
    assert first.rest is not None
    assert other.rest is not None
    assert run_bundle(read, first.rest, reader=(1, 2)).watermark is None
    assert run_bundle(read, other.rest, reader=(0, 2)).watermark == NOW - 52


def test_the_step_travels() -> None:
    read = ReadParts(Reading(MemorySource(a=[]), ArrivalTimes(1), Batches(), PACING, "t"))
    assert pickle.loads(pickle.dumps(read))._reading.token == "t"
