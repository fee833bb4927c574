"""The id of a write's run: given once or made for each, and said by the result and the log."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import pytest

from beam_s3box import ConfigurationError, WriteToS3Box, WriteToS3BoxResult
from beam_s3box.shards.runs import new_token
from beam_s3box.stores.memory import MemoryStore
from tests.readback import read_back
from tests.transforms.writes import BY_FIELD, options, records, write


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


def test_a_pipeline_that_runs_twice_replaces_nothing(store: MemoryStore) -> None:
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = pipeline | beam.Create(records(10)) | WriteToS3Box(store, **BY_FIELD)
    pipeline.run().wait_until_finish()
    before = {info.key: info.etag for info in store.list()}
    with pytest.raises(Exception, match="this Pipeline object was run before"):
        pipeline.run().wait_until_finish()
    assert {info.key: info.etag for info in store.list()} == before
