"""What a runner does again: bundles that fail half way, bundles that come twice, and a whole run from its beginning."""

from __future__ import annotations

import logging
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from beam_s3box import Manifests, StreamLimits, WriteToS3Box
from beam_s3box.claims import RunClaim
from beam_s3box.errors import RunExistsError, TransientStoreError
from beam_s3box.layout import Layout
from beam_s3box.metrics import PROGRESS
from beam_s3box.runs import new_token
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.streams import Stream
from beam_s3box.testing import FailingStore
from tests.readback import ReadBack, read_back
from tests.transforms.streams import Run, Script, write

LIMITS = StreamLimits(records=3, seconds=10)
RECORDS = 14


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(new_token(12))


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Beam logs every attempt with its traceback."""
    caplog.set_level(logging.CRITICAL, "apache_beam")


def script() -> Script:
    """Return a stream with shards of every kind: by size in a bundle and by state, by age, window's end and lateness."""
    made = Script().add(0, 1, 2, 3, at=1).add(4, at=1).add(5, at=1).add(6, at=2).wait(10)
    made.add(7, at=61).add(8, 9, at=62, stream="b").watermark(60).add(10, at=3).add(11, at=63).wait(9)
    return made.watermark(120).add(12, at=64, stream="b").add(13, at=4).watermark(150)


def check_once(found: ReadBack, unlisted: int = 0) -> None:
    assert sorted(record["i"] for record in found.all_records()) == list(range(RECORDS))
    assert len(found.unlisted) == unlisted


def test_the_stream_has_shards_of_every_kind(store: MemoryStore) -> None:
    """Else the tests below would say less than they seem to."""
    written = write(script(), store, limits=LIMITS)
    reasons = {shard.value.sealed_by for shard in written.shards}
    assert reasons == {"records", "seconds", "window_end", "lateness"}
    assert {item.value.pane for item in written.manifests} >= {0, 1}
    check_once(written.found)


# ---------------------------------------------------------------- a bundle that fails is done again


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("succeed", [0, 1, 3])
@pytest.mark.parametrize("keys", ["data/*", "manifests/*", "runs/*"])
def test_writes_that_fail_for_a_while(store: MemoryStore, keys: str, succeed: int, when: Any) -> None:
    """Three times, so that the fourth attempt of Beam's runner goes well; nothing written twice is there twice."""
    failing = FailingStore(store, keys, succeed=succeed, fail=3, when=when)
    written = write(script(), failing, limits=LIMITS)
    check_once(written.found)


def test_a_write_that_goes_on_failing_fails_the_pipeline(store: MemoryStore) -> None:
    with pytest.raises(TransientStoreError, match="failed on purpose"):
        write(script(), FailingStore(store, "data/*", succeed=2), limits=LIMITS)
    assert read_back(store).manifests == {}


class _Faults:
    """At which calls a user's function fails; a class, because DoFns are pickled."""

    calls = 0
    at: frozenset[int] = frozenset()


def faulty_limits(stream: Stream) -> StreamLimits:
    _Faults.calls += 1
    if _Faults.calls in _Faults.at:
        raise RuntimeError("on purpose")
    return LIMITS


def write_with_faults(store: MemoryStore, *at: int) -> ReadBack:
    """Fail in the midst of bundles: the limits are asked for by every step that packs, element for element."""
    _Faults.calls, _Faults.at = 0, frozenset(at)
    return write(script(), store, limits=faulty_limits).found


def test_bundles_that_fail_half_way_at_any_place(store: MemoryStore) -> None:
    write_with_faults(store)
    calls = _Faults.calls
    assert calls > RECORDS + len(store_keys(store, "data/")), "steps ask when they encode, when they pack, by timer"
    for call in range(1, calls + 1, 5):
        again = MemoryStore(new_token(12))
        check_once(write_with_faults(again, call))


@pytest.mark.parametrize("first", [1, 4, 9, 15, 22])
def test_bundles_that_fail_several_times_in_a_row(store: MemoryStore, first: int) -> None:
    check_once(write_with_faults(store, first, first + 1, first + 2))


# ---------------------------------------------------------------- a bundle that comes twice


def write_twice_each(store: MemoryStore, count: int, **arguments: Any) -> None:
    """Let FnApiRunner do every bundle twice, forgetting what the first one gave out, its state too."""
    options = PipelineOptions(["--runner=FnApiRunner", "--direct_runner_bundle_repeat=1"])
    before = PROGRESS.totals().get("records_in", 0)
    with beam.Pipeline(options=options) as pipeline:
        records = [TimestampedValue({"d": f"d{i % 2}", "n": "x", "i": i}, i) for i in range(count)]
        (
            pipeline
            | beam.Create(records)
            | WriteToS3Box(store, domain_field="d", namespace_field="n", windowing=FixedWindows(60), **arguments)
        )
    assert PROGRESS.totals()["records_in"] - before == 2 * count, "each record was encoded twice"


@pytest.mark.parametrize("packing", ["group", "stateful"])
@pytest.mark.parametrize("count", [10, 1_000])
def test_bundles_that_come_twice(store: MemoryStore, packing: str, count: int) -> None:
    write_twice_each(store, count, packing=packing, limits=StreamLimits(records=20), rests="pack")
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(count))


@pytest.mark.parametrize("rests", ["seal", "pack"])
def test_what_the_first_of_two_bundles_sealed_stays_unlisted(store: MemoryStore, rests: str) -> None:
    """Under keys of its own: the attempt is in them."""
    write_twice_each(store, 400, limits=StreamLimits(records=20), rests=rests)
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(400))
    listed = {url for urls in found.manifests.values() for url in urls}
    assert 0 < len(found.unlisted) <= len(listed)
    assert len(found.shards) == len(listed) + len(found.unlisted)


# ---------------------------------------------------------------- a run that goes back


def test_a_stream_that_goes_back_to_its_beginning_replaces_its_manifests(store: MemoryStore) -> None:
    """The shards are cut under other keys; the last manifest of a pane counts, and what only the first listed is none."""
    run = Run(script(), store, limits=LIMITS, run_id="again")
    first = run.run().found
    second = run.run().found
    assert sorted(first.manifests) == sorted(second.manifests)
    check_once(first)
    check_once(second, unlisted=len(first.shards))
    assert set(second.unlisted) == set(first.shards)


class ChangingLimits:
    """Limits that change between runs: they stand for records that come again in another order, or together."""

    records = 2

    def __call__(self, stream: Stream) -> StreamLimits:
        return StreamLimits(records=ChangingLimits.records, seconds=None)


def test_a_run_that_goes_back_may_cut_other_shards(store: MemoryStore) -> None:
    run = Run(script(), store, limits=ChangingLimits(), run_id="again")
    ChangingLimits.records = 2
    first = run.run().found
    ChangingLimits.records = 5
    second = run.run().found
    assert {key: len(urls) for key, urls in first.manifests.items()} != {
        key: len(urls) for key, urls in second.manifests.items()
    }
    check_once(second, unlisted=len(first.shards))


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("per", ["stream", "run"])
def test_a_run_that_goes_back_may_fire_less_often(store: MemoryStore, per: Any, count: int) -> None:
    """What the first time listed in firings or parts that the second time has not got is listed no more."""
    streams = Script()
    for number in range(4):
        streams.add(number, at=1).wait(5)
    manifests = Manifests(per=per, count=count)
    run = Run(
        streams.watermark(60), store, limits=ChangingLimits(), early_every=5, manifests=manifests, run_id="again"
    )  # fmt: skip
    ChangingLimits.records = 1
    first = run.run()
    ChangingLimits.records = 3
    second = run.run()
    assert len(second.found.manifests) < len(first.found.manifests)
    assert second.all_ids() == [0, 1, 2, 3]


def test_another_run_of_the_same_id_is_refused_and_replaces_nothing(store: MemoryStore) -> None:
    write(script(), store, limits=LIMITS, run_id="nightly")
    before = {info.key: store.get(info.key) for info in store.list()}
    with pytest.raises(RunExistsError, match=r"run_id='nightly' already wrote manifests"):
        write(Script().add(99, at=1).watermark(60), store, run_id="nightly")
    assert {info.key: store.get(info.key) for info in store.list()} == before


class _Rival:
    """Another run of the same id, which claims it at one of this one's calls for limits."""

    calls = 0
    at = 0
    store: MemoryStore

    def __call__(self, stream: Stream) -> StreamLimits:
        _Rival.calls += 1
        if _Rival.calls == _Rival.at:
            RunClaim(Layout("nightly"), "theirs").take(_Rival.store)
        return StreamLimits()


def test_another_run_that_is_first_to_claim_the_id_wins(store: MemoryStore) -> None:
    """Both had begun by then, and asked in vain; one that may replace manifests must not replace the other's."""
    _Rival.calls = _Rival.at = 0
    write(Script().add(0, at=1).watermark(60), MemoryStore(new_token(12)), limits=_Rival(), run_id="nightly")
    _Rival.calls, _Rival.at, _Rival.store = 0, _Rival.calls, store
    with pytest.raises(RunExistsError, match=r"run_id='nightly' already wrote manifests"):
        write(Script().add(0, at=1).watermark(60), store, limits=_Rival(), run_id="nightly")
    assert store_keys(store, "manifests/") == []
    assert len(store_keys(store, "data/")) == 1


def store_keys(store: MemoryStore, prefix: str) -> list[str]:
    return [info.key for info in store.list(prefix)]


def test_a_bounded_run_replaces_nothing_when_it_is_done_again(store: MemoryStore) -> None:
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    records = pipeline | beam.Create([{"d": "a", "n": "x", "i": i} for i in range(5)])
    records | WriteToS3Box(store, domain_field="d", namespace_field="n", run_id="again")
    pipeline.run().wait_until_finish()
    before = {info.key: store.get(info.key) for info in store.list("manifests/")}
    with pytest.raises(Exception, match=r"is there with other shards: run_id='again'"):
        pipeline.run()
    assert {info.key: store.get(info.key) for info in store.list("manifests/")} == before
