"""WriteToS3Box on the runners: every record is in one listed shard, whatever the input is."""

from __future__ import annotations

import dataclasses
import pathlib
import typing
from typing import Any

import apache_beam as beam
import orjson
import pytest
from apache_beam.metrics.metric import Lineage
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.display import DisplayData

from beam_s3box import ConfigurationError, DeadLetter, Manifest, Manifests, ShardFile, StreamLimits, WriteToS3Box
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import open_store
from beam_s3box.stores.memory import MemoryStore
from tests.readback import read_back, strict_gunzip
from tests.transforms.writes import BY_FIELD, RUNNERS, counters, options, records, write


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
        ({"key_template": "{domain}"}, "key_template='{domain}' lacks {"),
    ],
)
def test_what_can_not_work_is_refused_when_it_is_built(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        WriteToS3Box("memory://refused", **arguments)


@pytest.mark.parametrize("destination", ["ftp://host/path", "s3://", "memory://"])
def test_destinations_that_are_none(destination: str) -> None:
    with pytest.raises(ConfigurationError, match="destination"):
        WriteToS3Box(destination)


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
