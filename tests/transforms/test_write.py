"""WriteToS3Box on the runners: every record is in one listed shard or a dead letter, whatever the input is."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import pathlib
import typing
from typing import Any

import apache_beam as beam
import orjson
import pytest
from apache_beam.metrics.metric import Lineage
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.display import DisplayData
from apache_beam.transforms.window import FixedWindows
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP

from beam_s3box import (
    ConfigurationError,
    DeadLetter,
    Manifest,
    Manifests,
    ShardFile,
    StreamLimits,
    Tuning,
    WriteToS3Box,
    WriteToS3BoxResult,
)
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import Store, open_store
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.transforms.tuning import Packing
from tests.readback import read_back, strict_gunzip

RUNNERS = {
    "FnApiRunner": ["--runner=FnApiRunner"],
    "BundleBased": ["--runner=BundleBasedDirectRunner"],
    "multi_processing": ["--runner=DirectRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2"],
}
BY_FIELD: dict[str, Any] = {"domain_field": "d", "namespace_field": "n"}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(new_token(12))


def options(runner: str = "FnApiRunner") -> PipelineOptions:
    return PipelineOptions(RUNNERS[runner])


def write(
    store: Store, elements: typing.Sequence[Any], runner: str = "FnApiRunner", **arguments: Any
) -> dict[str, int]:
    """Write the elements and return the counters."""
    arguments = {**BY_FIELD, **arguments}
    pipeline = beam.Pipeline(options=options(runner))
    result = pipeline | "Make" >> beam.Create(elements) | "Write" >> WriteToS3Box(store, **arguments)
    assert isinstance(result, WriteToS3BoxResult)
    done = pipeline.run()
    done.wait_until_finish()
    return counters(done)


def counters(done: Any) -> dict[str, int]:
    totals: collections.Counter[str] = collections.Counter()
    for metric in done.metrics().query()["counters"]:
        if metric.key.metric.namespace == "beam_s3box":
            totals[metric.key.metric.name] += metric.result
    return dict(totals)


def records(count: int, streams: int = 3) -> list[dict[str, Any]]:
    return [{"d": f"d{i % streams}", "n": "x", "i": i, "pad": "z" * 50} for i in range(count)]


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize(("count", "streams"), [(0, 1), (3, 3), (5_000, 3)], ids=["empty", "smaller", "larger"])
def test_every_record_is_in_exactly_one_listed_shard(
    tmp_path: pathlib.Path, runner: str, count: int, streams: int
) -> None:
    store = open_store(tmp_path / "box")
    expected = records(count, streams)
    totals = write(store, expected, runner, limits=StreamLimits(max_raw_bytes=10_000))
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(count))
    assert found.unlisted == []
    assert len(found.manifests) == min(streams, count)
    assert all(record["d"] == folder.partition("/")[0] for folder, rows in found.records.items() for record in rows)
    if runner != "BundleBased" and count:
        assert totals["records_in"] == totals["records_listed"] == count


@pytest.mark.parametrize("runner", ["FnApiRunner", "multi_processing"])
def test_five_thousand_streams(tmp_path: pathlib.Path, runner: str) -> None:
    store = open_store(tmp_path / "box")
    write(store, records(10_000, 5_000), runner)
    found = read_back(store)
    assert len(found.manifests) == 5_000
    assert sorted(record["i"] for record in found.all_records()) == list(range(10_000))
    assert found.unlisted == []


def test_the_result_lists_what_the_manifests_list(store: MemoryStore) -> None:
    pipeline = beam.Pipeline(options=options())
    result = pipeline | beam.Create(records(500)) | WriteToS3Box(store, **BY_FIELD, limits=StreamLimits(max_records=40))
    assert result.shards.element_type is ShardFile
    assert result.manifests.element_type is Manifest
    assert result.dead_letters.element_type is DeadLetter
    total = result.shards | "Sizes" >> beam.Map(lambda file: file.records) | beam.CombineGlobally(sum)
    listed = (
        result.manifests | "Listed" >> beam.Map(lambda manifest: manifest.records) | "Sum" >> beam.CombineGlobally(sum)
    )
    assert_that(total, equal_to([500]), label="CheckShards")
    assert_that(listed, equal_to([500]), label="CheckManifests")
    urls = result.shards | "Urls" >> beam.Map(lambda file: file.url) | beam.combiners.ToList()
    assert_that(urls, lambda lists: check_urls(lists[0], store), label="CheckUrls")
    pipeline.run().wait_until_finish()


def check_urls(urls: list[str], store: MemoryStore) -> None:
    found = read_back(store)
    assert sorted(urls) == sorted(url for listed in found.manifests.values() for url in listed)
    assert len(urls) == len(found.shards)


class Row(typing.NamedTuple):
    d: str
    n: str
    i: int


@dataclasses.dataclass
class Data:
    d: str
    n: str
    i: int


def test_all_kinds_of_elements(store: MemoryStore) -> None:
    elements = [
        {"d": "d", "n": "n", "i": 0},
        '{"d": "d", "n": "n", "i": 1}',
        b'{"d":"d","n":"n","i":2}',
        beam.Row(d="d", n="n", i=3),
        Row("d", "n", 4),
        Data("d", "n", 5),
        '{\n "d": "d",\r\n "n": "n", "i": 6\n}\n',
    ]
    totals = write(store, elements)
    assert sorted(record["i"] for record in read_back(store).records["d/n"]) == list(range(7))
    assert totals["records_in"] == 7


def test_schema_rows_from_a_typed_collection(store: MemoryStore) -> None:
    with beam.Pipeline(options=options()) as pipeline:
        rows = pipeline | beam.Create([1, 2]) | beam.Select(d=lambda i: "d", n=lambda i: "n", i=lambda i: int(i))
        rows | beam.Reshuffle() | WriteToS3Box(store, **BY_FIELD)
    assert sorted(record["i"] for record in read_back(store).all_records()) == [1, 2]


def test_keyed_elements_constants_and_functions(store: MemoryStore) -> None:
    keyed = [(("a", "b"), {"i": 1}), (("a", "b"), b'{"i":2}'), (("a", ""), {"i": 3}), {"i": 4}]
    write(store, keyed, domain_field=None, namespace_field=None)
    found = read_back(store)
    assert [record["i"] for record in found.records["a/b"]] == [1, 2]
    assert sorted(letter["reason"] for letter in found.dead_letters) == ["bad-stream", "missing-stream"]

    write(store, [{"n": "y", "i": 5}], domain_field=None, domain="const")
    by_function: dict[str, Any] = {"domain_field": None, "namespace_field": None, "stream": parity}
    write(store, [{"i": 6}, b'{"i":7}'], **by_function)
    found = read_back(store)
    assert {folder: [record["i"] for record in rows] for folder, rows in found.records.items()} == {
        "a/b": [1, 2], "const/y": [5], "parity/0": [6], "parity/1": [7],
    }  # fmt: skip


def parity(record: typing.Mapping[str, Any]) -> tuple[str, str]:
    return "parity", str(record["i"] % 2)


BAD = {
    b"[1]": "not-an-object",
    b"{": "not-json",
    b'{"d":"a","n":"b","x":"\xff"}': "invalid-utf8",
    b'{"d":"a","n":"b","x":"\\ud800"}': "lone-surrogate",
    b'{"d":"a","n":"b","x":"\\u0000"}': "nul-character",
    b'{"d":"a"}': "missing-stream",
    b'{"d":"a","n":true}': "bad-stream",
    b'{"d":"","n":"b"}': "bad-stream",
    b'{"d":"a","n":"b","x":"' + b"|" * 2_000_001 + b'"}': "too-large",
}


@pytest.mark.parametrize("batched", [False, True])
def test_bad_records_are_dead_letters_and_good_ones_beside_them_are_not(store: MemoryStore, batched: bool) -> None:
    elements = [b'{"d":"a","n":"b","i":%d}' % i for i in range(20)] + list(BAD) + [7, None]
    pipeline = beam.Pipeline(options=options())
    made = pipeline | beam.Create([elements] if batched else elements)
    made = made | beam.ParDo(Batches()) if batched else made
    result = made | WriteToS3Box(store, **BY_FIELD)
    letters = result.dead_letters | beam.Map(lambda letter: (letter.raw, letter.reason))
    expected = [*BAD.items(), (b"7", "not-an-object"), (b"None", "not-an-object")]
    assert_that(letters, equal_to(expected))
    done = pipeline.run()
    done.wait_until_finish()
    found = read_back(store)
    totals = counters(done)
    assert sorted(record["i"] for record in found.all_records()) == list(range(20))
    assert len(found.dead_letters) == totals["dead_letters"] == len(expected)
    assert totals["records_in"] == totals["records_listed"] + totals["dead_letters"] == 31
    assert totals["dead_letters_not_an_object"] == 3
    kept = {letter.get("raw") or bytes.fromhex(letter["raw_hex"]) for letter in found.dead_letters}
    assert kept == {_text(raw) for raw, _ in expected}


def _text(raw: bytes) -> str | bytes:
    return raw if b"\xff" in raw else raw.decode()


class Batches(beam.DoFn):
    @beam.DoFn.yields_batches
    def process(self, element: list[Any]) -> typing.Iterator[list[Any]]:
        yield element

    def get_output_batch_type(self, input_element_type: Any) -> Any:
        return beam.typehints.List[Any]

    def infer_output_type(self, input_type: Any) -> Any:
        return Any


def test_a_bad_record_fails_the_pipeline_where_asked(store: MemoryStore) -> None:
    with pytest.raises(Exception, match=r"missing-stream: no field 'n'.*on_bad_record='dead_letter'"):
        write(store, [{"d": "a"}], on_bad_record="fail")
    assert read_back(store).manifests == {}


def test_nul_and_size_are_no_matter_without_manifests(store: MemoryStore) -> None:
    big = b'{"d":"a","n":"b","x":"' + b"|" * 4_000_001 + b'"}'
    totals = write(store, [big, b'{"d":"a","n":"b","x":"\\u0000"}'], manifests=None)
    assert totals.get("dead_letters", 0) == 0
    assert totals["raw_bytes"] > 4_000_001
    assert not read_back(store).manifests


def test_limits_hold_per_stream(store: MemoryStore) -> None:
    limits = {
        "d0/*": StreamLimits(max_records=7),
        "d1/x": StreamLimits(max_raw_bytes=900),
        "*": StreamLimits(max_object_bytes=400),
    }
    write(store, records(900), limits=limits)
    for key in read_back(store).shards:
        body = store.get(key)
        text = strict_gunzip(body)
        if key.startswith("data/d0/"):
            assert text.count(b"\n") <= 7
        elif key.startswith("data/d1/"):
            assert len(text) <= 900
        else:
            assert len(body) <= 400


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


def test_manifests_per_run(store: MemoryStore) -> None:
    write(
        store, records(100), manifests=Manifests(per="run", count=2), limits=StreamLimits(max_records=10), run_id="r1"
    )
    found = read_back(store)
    assert sorted(found.manifests) == [
        "manifests/r1/00000.manifest",
        "manifests/r1/00001.manifest",
    ]
    assert len(found.all_records()) == 100


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (3, 3), (50, 10)])
def test_as_many_manifests_as_asked_and_no_more_than_shards(store: MemoryStore, count: int, expected: int) -> None:
    write(store, records(100, 1), manifests=Manifests(count=count), limits=StreamLimits(max_records=10))
    found = read_back(store)
    assert len(found.manifests) == expected
    lengths = [len(urls) for urls in found.manifests.values()]
    assert max(lengths) - min(lengths) <= 1


def test_json_arrays(store: MemoryStore) -> None:
    write(store, records(100), format="json-array", limits=StreamLimits(max_records=30))
    found = [orjson.loads(strict_gunzip(store.get(info.key))) for info in store.list("data/")]
    assert sorted(record["i"] for array in found for record in array) == list(range(100))
    assert not list(store.list("manifests/"))


def test_a_run_id_that_finished_is_refused_before_any_work(store: MemoryStore) -> None:
    write(store, records(10), run_id="nightly")
    before = sorted(info.key for info in store.list())
    with pytest.raises(Exception, match=r"run_id='nightly' already finished a run"):
        write(store, records(20), run_id="nightly")
    assert sorted(info.key for info in store.list()) == before
    write(store, records(10), run_id="nightly-2")


def test_one_run_id_for_two_writes_of_a_pipeline_is_refused_when_it_is_built(store: MemoryStore) -> None:
    pipeline = beam.Pipeline(options=options())
    rows = pipeline | beam.Create(records(10))
    rows | "First" >> WriteToS3Box(store, **BY_FIELD, run_id="nightly")
    rows | "Elsewhere" >> WriteToS3Box(MemoryStore(new_token(12)), **BY_FIELD, run_id="nightly")
    with pytest.raises(
        ConfigurationError, match=r"run_id='nightly' names another write to memory://.* in this pipeline"
    ):
        rows | "Second" >> WriteToS3Box(store, **BY_FIELD, run_id="nightly")


def test_one_object_applied_again_is_another_run(store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    transform = WriteToS3Box(store, **BY_FIELD)
    results: list[WriteToS3BoxResult] = []
    with caplog.at_level("INFO"):
        for _ in range(2):
            with beam.Pipeline(options=options()) as pipeline:
                rows = pipeline | beam.Create(records(10))
                results += [rows | "x" >> transform, rows | "y" >> transform]
    found = read_back(store)
    run_ids = [result.run_id for result in results]
    assert {key.split("/")[1] for key in found.manifests} == set(run_ids)
    assert len(set(run_ids)) == 4
    assert sorted(record["i"] for record in found.all_records()) == sorted(4 * list(range(10)))
    logged = [record.getMessage() for record in caplog.records if record.name == "beam_s3box.transforms.write"]
    assert logged == [f"run_id={run_id!r} names this write to {store.root}" for run_id in run_ids]


class Nested(beam.PTransform):
    """A composite transform of a user that returns the result of the write."""

    def expand(self, rows: beam.PCollection[Any]) -> WriteToS3BoxResult:
        result: WriteToS3BoxResult = rows | WriteToS3Box("memory://nested", **BY_FIELD, run_id="given")
        return result


def test_the_result_says_its_run_id_and_beam_sees_the_collections_alone() -> None:
    pipeline = beam.Pipeline(options=options())
    result: WriteToS3BoxResult = pipeline | beam.Create(records(1)) | "Outer" >> Nested()
    assert result.run_id == "given"
    assert [*result] == [result.shards, result.manifests, result.dead_letters, result.input_totals]
    assert [*result._asdict()] == ["shards", "manifests", "dead_letters", "input_totals"]
    steps = pipeline.to_runner_api().components.transforms.values()
    outputs = [set(step.outputs) for step in steps if step.unique_name in ("Outer", "Outer/WriteToS3Box")]
    assert outputs == 2 * [{"shards", "manifests", "dead_letters", "input_totals"}]


def test_names_that_try_to_leave_their_folder(tmp_path: pathlib.Path) -> None:
    names = ["..", ".", "../../etc", "a/b", "a b", "%2F", "é" * 150, "x" * 300, "~", "a\nb", "💥"]
    store = open_store(tmp_path / "box")
    elements = [{"d": domain, "n": namespace} for domain in names for namespace in names]
    write(store, elements)
    found = read_back(store)
    assert sorted((record["d"], record["n"]) for record in found.all_records()) == sorted(
        (element["d"], element["n"]) for element in elements
    )
    assert len(found.records) == len(names) ** 2, "two streams share a folder"
    assert [path.name for path in tmp_path.iterdir()] == ["box"]
    assert sorted(path.name for path in (tmp_path / "box").iterdir()) == ["data", "manifests", "runs"]


def test_counters_lineage_and_display_data(store: MemoryStore) -> None:
    transform = WriteToS3Box(store, **BY_FIELD, limits=StreamLimits(max_records=10), run_id="shown")
    pipeline = beam.Pipeline(options=options())
    pipeline | beam.Create(records(105, 1)) | transform
    done = pipeline.run()
    done.wait_until_finish()
    totals = counters(done)
    assert totals["records_in"] == totals["records_listed"] == 105
    assert totals["shards"] == totals["shards_by_records"] + totals["shards_by_bundle_end"] == 11
    assert totals["manifests"] == 1
    assert totals["object_bytes"] == sum(info.size for info in store.list("data/"))
    distributions = {metric.key.metric.name: metric.result for metric in done.metrics().query()["distributions"]}
    assert distributions["upload_attempts"].sum == 11
    assert "upload_milliseconds" in distributions
    assert any(store.root.removeprefix("memory://") in name for name in Lineage.query(done.metrics(), Lineage.SINK))
    shown = {item.key: item.value for item in DisplayData.create_from(transform).items}
    assert shown["run_id"] == "shown"
    assert shown["domain"] == "field d"
    assert "records=10" in shown["limits"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"domain": "a"}, "domain is given and namespace is not"),
        (
            {"domain": "a", "domain_field": "b", "namespace": "c"},
            "domain='a' and domain_field='b' are mutually exclusive",
        ),
        ({"stream": parity, "domain": "a", "namespace": "b"}, "stream must be a function, and can't be combined"),
        ({"format": "parquet"}, "format='parquet' is not known; known are avro, json-array, json-lines"),
        (
            {"format": "json-array", "manifests": Manifests()},
            "are mutually exclusive: COPY can't load rows from it",
        ),
        ({"manifests": 3}, "manifests=3 must be a Manifests, None or 'auto'"),
        ({"limits": 5}, "limits=5 must be a StreamLimits"),
        ({"run_id": "a/b"}, "run_id='a/b' must be 1 to 48 letters"),
        ({"on_bad_record": "skip"}, "on_bad_record='skip' must be 'dead_letter' or 'fail'"),
        ({"max_record_bytes": 0}, "max_record_bytes=0 must be a whole number"),
        ({"tuning": {"packing": "group"}}, r"tuning={.packing.: .group.} must be a Tuning, such as Tuning\("),
        ({"key_template": "{domain}"}, "key_template='{domain}' must use each of"),
    ],
)
def test_what_can_not_work_is_refused_when_it_is_built(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        WriteToS3Box("memory://refused", **arguments)


@pytest.mark.parametrize("destination", ["ftp://host/path", "s3://", "memory://"])
def test_destinations_that_are_none(destination: str) -> None:
    with pytest.raises(ConfigurationError, match="destination"):
        WriteToS3Box(destination)


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


def test_a_pipeline_of_ones_own_fails_where_all_are_dead_letters_and_its_log_says_why(
    store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    elements = [{"D": "a", "n": "b"}] * 7
    with pytest.raises(Exception, match=r"7 of 7 records are dead letters, that is every one: 7 missing-stream: "):
        write(store, elements)
    assert read_back(store).manifests == {}
    warnings = [record.getMessage() for record in caplog.records if "dead letters of run" in record.getMessage()]
    assert len(warnings) == 1
    assert "1 missing-stream: no field 'd', or it is null; fields there: D, n; did you mean 'D'?" in warnings[0]
    write(store, elements, max_dead_letters="100%")
    write(store, [*elements, {"d": "a", "n": "b"}])
    assert len(read_back(store).manifests) == 1


@pytest.mark.parametrize("runner", ["FnApiRunner", "multi_processing"])
@pytest.mark.parametrize("manifests", ["auto", None])
def test_a_share_is_that_of_all_bundles(tmp_path: pathlib.Path, runner: str, manifests: Any) -> None:
    store = open_store(tmp_path / "box")
    elements = [{"d": "a", "n": "b"} if i % 4 else {"d": "a"} for i in range(400)]
    write(store, elements, runner, max_dead_letters="25%", manifests=manifests)
    with pytest.raises(Exception, match=r"100 of 400 records are dead letters, more than max_dead_letters='24%'"):
        write(store, elements, runner, max_dead_letters="24%", manifests=manifests)


class FailsOnce(beam.DoFn):
    """Fails its bundle once, behind the write's first step, whose records then come again."""

    def __init__(self, mark: pathlib.Path) -> None:
        self._mark = mark

    def process(self, shard: Any) -> None:
        if not self._mark.exists():
            self._mark.touch()
            raise RuntimeError("this bundle is done again")


def test_a_bundle_that_is_done_again_counts_once(tmp_path: pathlib.Path) -> None:
    """By a counter it would be 40 dead letters, and too many."""
    store = open_store(tmp_path / "box")
    elements = [{"d": "a", "n": "b"} if i % 2 else {"d": "a"} for i in range(40)]
    pipeline = beam.Pipeline(options=options("BundleBased"))
    result = pipeline | beam.Create(elements) | WriteToS3Box(store, **BY_FIELD, max_dead_letters=20)
    _ = result.dead_letters | beam.ParDo(FailsOnce(tmp_path / "mark"))
    pipeline.run().wait_until_finish()
    assert (tmp_path / "mark").exists()
    assert len(list(read_back(store).all_records())) == 20


def test_dead_letters_come_one_by_one_where_beam_hands_over_to_a_runner_without_batches(tmp_path: pathlib.Path) -> None:
    """DirectRunner is several: which of them runs a pipeline is known when all of its steps are."""
    store = open_store(tmp_path / "box")
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=DirectRunner", "--streaming"]))
    script = TestStream().add_elements([{"d": "a", "n": "b"}, {"d": "a"}, {"n": "b"}]).advance_watermark_to_infinity()
    result = pipeline | script | WriteToS3Box(store, **BY_FIELD, windowing=FixedWindows(60))
    reasons = result.dead_letters | beam.Map(lambda letter: letter.reason)
    assert_that(reasons, equal_to(["missing-stream"] * 2))
    pipeline.run().wait_until_finish()
    assert len(read_back(store).dead_letters) == 2


def test_a_compression_level_makes_shards_smaller_or_larger() -> None:
    sizes = []
    for level in (1, 8):
        store = MemoryStore(new_token(12))
        with beam.Pipeline() as pipeline:
            records = pipeline | beam.Create([{"i": i, "pad": f"{i * 7919:x}" * 5} for i in range(5_000)])
            records | WriteToS3Box(store, domain="d", namespace="n", compression_level=level)
        sizes.append(sum(info.size for info in store.list("data/")))
    assert sizes[0] > sizes[1]
    with pytest.raises(ConfigurationError, match="compression_level=0 must be a whole number from 1 to 9"):
        WriteToS3Box(MemoryStore("x"), domain="d", namespace="n", compression_level=0)
