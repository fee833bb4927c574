"""Work that a runner repeats: bundles that fail half way, bundles that run twice, and a whole run from its beginning."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.trigger import AccumulationMode, AfterCount, Repeatedly
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from beam_s3box import Manifests, StreamLimits, Tuning, WriteToS3Box
from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.run_record import RunRecord
from beam_s3box.errors import RunExistsError, TransientStoreError
from beam_s3box.metrics import PROGRESS
from beam_s3box.records.streams import Stream
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.runs import new_token
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.testing import FailingStore
from beam_s3box.transforms import runtime
from beam_s3box.transforms.tuning import Packing, PartialShards
from tests.readback import ReadBack, read_back
from tests.transforms.streams import Run, Script, write

LIMITS = StreamLimits(max_records=3, max_seconds=10)
RECORDS = 14


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
    """Otherwise the tests below would check less than they seem to."""
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
    """Three times, so that the fourth attempt of Beam's runner succeeds; nothing is duplicated."""
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
    """Fail in the middle of bundles: every step that packs asks for the limits of each element."""
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
    """Let FnApiRunner run every bundle twice, and drop the output and the state of the first."""
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
def test_bundles_that_come_twice(store: MemoryStore, packing: Packing, count: int) -> None:
    write_twice_each(
        store, count, limits=StreamLimits(max_records=20), tuning=Tuning(packing=packing, partial_shards="shuffle")
    )
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(count))


@pytest.mark.parametrize("partial_shards", ["seal", "shuffle"])
def test_what_the_first_of_two_bundles_sealed_stays_unlisted(store: MemoryStore, partial_shards: PartialShards) -> None:
    """Under other keys: the attempt is in them."""
    write_twice_each(store, 400, limits=StreamLimits(max_records=20), tuning=Tuning(partial_shards=partial_shards))
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(400))
    listed = {url for urls in found.manifests.values() for url in urls}
    assert 0 < len(found.unlisted) <= len(listed)
    assert len(found.shards) == len(listed) + len(found.unlisted)


# ---------------------------------------------------------------- a run that goes back


def test_a_stream_that_goes_back_to_its_beginning_replaces_its_manifests(store: MemoryStore) -> None:
    """The shards have other keys; the last manifest of a pane counts, and nothing that only the first one listed."""
    run = Run(script(), store, limits=LIMITS, run_id="again")
    first = run.run().found
    second = run.run().found
    assert sorted(first.manifests) == sorted(second.manifests)
    check_once(first)
    check_once(second, unlisted=len(first.shards))
    assert set(second.unlisted) == set(first.shards)


class ChangingLimits:
    """Limits that change between runs, as if records came again in another order, or together."""

    records = 2

    def __call__(self, stream: Stream) -> StreamLimits:
        return StreamLimits(max_records=ChangingLimits.records, max_seconds=None)


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
    """What the first run listed in firings or parts that the second one does not have is not listed any more."""
    streams = Script()
    for number in range(4):
        streams.add(number, at=1).wait(5)
    manifests = Manifests(per=per, count=count)
    run = Run(
        streams.watermark(60), store, limits=ChangingLimits(), triggering_frequency=5, manifests=manifests, run_id="again"
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
    with pytest.raises(RunExistsError, match=r"run_id='nightly' already names an unbounded run"):
        write(Script().add(99, at=1).watermark(60), store, run_id="nightly")
    assert {info.key: store.get(info.key) for info in store.list()} == before


def store_keys(store: MemoryStore, prefix: str) -> list[str]:
    return [info.key for info in store.list(prefix)]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("per", ["stream", "run"])
@pytest.mark.parametrize("records", [1, 3, 5, 20])
def test_a_bounded_run_that_is_done_again_lists_each_record_once(
    store: MemoryStore, per: Any, count: int, records: int
) -> None:
    """As Flink in batch mode, Spark and a template that is started twice do: the same claim, other shards."""
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    rows = pipeline | beam.Create([{"d": f"d{i % 2}", "n": "x", "i": i} for i in range(14)])
    rows | WriteToS3Box(
        store, domain_field="d", namespace_field="n", run_id="again", limits=ChangingLimits(),
        manifests=Manifests(per=per, count=count),
    )  # fmt: skip
    for ChangingLimits.records in (3, records):
        # as in another process
        runtime._FINISHED.clear()
        pipeline.run().wait_until_finish()
        record = RunRecord.parse("", store.get("runs/again.json"))
        assert (record.state, record.size.records) == ("finished", 14)
        assert {row.key: row.sha256 for row in record.manifests} == {
            info.key: hashlib.sha256(store.get(info.key)).hexdigest() for info in store.list("manifests/")
        }
        check_once(read_back(store), len(read_back(store).unlisted))


def test_bounded_input_with_a_trigger_of_its_own_lists_each_record_once(store: MemoryStore) -> None:
    """Several firings of one window would share their keys, and records that are equal their shards."""
    once = AfterCount(1)
    for number, trigger in enumerate((Repeatedly(once), once)):
        with beam.Pipeline(options=PipelineOptions(["--runner=BundleBasedDirectRunner"])) as pipeline:
            equal = [TimestampedValue({"d": "a", "n": "x"}, 1)] * 3
            parts = [pipeline | f"Part{part}" >> beam.Create(equal) for part in range(4)]
            windowed = (
                parts
                | beam.Flatten()
                | beam.WindowInto(FixedWindows(60), trigger=trigger, accumulation_mode=AccumulationMode.DISCARDING)
            )
            windowed | WriteToS3Box(
                store,
                domain_field="d",
                namespace_field="n",
                tuning=Tuning(partial_shards="shuffle"),
                run_id=f"r{number}",
            )
        record = RunRecord.parse("", store.get(f"runs/r{number}.json"))
        assert (record.size.records, len(record.manifests)) == (12, 1)


@pytest.mark.parametrize("runs", [("one", "two"), ("same", "same")])
def test_equal_records_of_two_writes_are_in_two_shards(store: MemoryStore, runs: tuple[str, str]) -> None:
    """Without manifests only the keys distinguish them."""
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        rows = pipeline | beam.Create([{"d": "a", "n": "x", "i": i} for i in range(3)])
        for label, run_id in zip("ab", runs, strict=True):
            # the second one with a run id takes over the first one, which has not finished, or is rejected
            write = WriteToS3Box(
                store,
                domain_field="d",
                namespace_field="n",
                run_id=f"{run_id}-{label}",
                manifests=None,
                tuning=Tuning(partial_shards="shuffle"),
            )
            rows | label >> write
    found = read_back(store)
    assert len(found.shards) == 2


def test_a_run_that_another_execution_took_over_can_not_finish(store: MemoryStore) -> None:
    """The last one that begins a bounded run under an id is the one that counts."""
    theirs = RunClaim(Layout("nightly"), "theirs")

    class TakeOver(beam.DoFn):
        def process(self, row: Any) -> Any:
            RunClaim(Layout("nightly"), "theirs").take(store)
            yield row

    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    rows = pipeline | beam.Create([{"d": "a", "n": "x", "i": i} for i in range(3)]) | beam.ParDo(TakeOver())
    rows | WriteToS3Box(store, domain_field="d", namespace_field="n", run_id="nightly")
    with pytest.raises(Exception, match=r"run_id='nightly'.*another execution took it over"):
        pipeline.run()
    assert theirs.check_held(store).state == "running"
