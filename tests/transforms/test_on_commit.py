"""`on_commit` in pipelines: after the run, or after each manifest of a stream; a failure fails the bundle."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box import WriteToS3Box
from beam_s3box.engine.commit import Commit
from beam_s3box.engine.run_reader import find_run
from beam_s3box.shards.runs import new_token
from beam_s3box.stores.memory import MemoryStore
from tests.transforms.streams import Script, write


@dataclasses.dataclass(frozen=True)
class Note:
    """Appends commits to a file, from any process; fails the first times."""

    path: str
    failures: int = 0

    def __call__(self, commit: Commit) -> None:
        with open(self.path, "ab") as file:
            file.write(commit.to_json() + b"\n")
        if len(pathlib.Path(self.path).read_bytes().splitlines()) <= self.failures:
            raise OSError("busy")


def notes(path: pathlib.Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("manifests", ["auto", None])
def test_a_bounded_run(tmp_path: pathlib.Path, manifests: None) -> None:
    path, store = tmp_path / "notes", MemoryStore(new_token())
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        records = pipeline | beam.Create([{"i": i} for i in range(9)])
        records | WriteToS3Box(store, domain="d", namespace="n", manifests=manifests, on_commit=Note(str(path)))
    [note] = notes(path)
    run = find_run(store)
    assert (note["type"], note["url"]) == ("run", store.url(f"runs/{run.run_id}.json"))
    assert (note["records"], note["dead_letters"]) == (9, 0)
    assert note["manifests"] == len(run.record.manifests) == (1 if manifests else 0)


def test_a_failure_fails_the_pipeline_and_the_run_counts(tmp_path: pathlib.Path) -> None:
    store = MemoryStore(new_token())
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    records = pipeline | beam.Create([{"i": i} for i in range(9)])
    records | WriteToS3Box(store, domain="d", namespace="n", on_commit=Note(str(tmp_path / "notes"), failures=9))
    with pytest.raises(
        Exception, match=r"is committed, memory://.*/runs/.*\.json with 9 records in 1 shard, and counts"
    ):
        pipeline.run().wait_until_finish()
    assert find_run(store).record.state == "finished"


def test_each_manifest_of_a_stream(tmp_path: pathlib.Path) -> None:
    path, store = tmp_path / "notes", MemoryStore(new_token(12))
    script = Script().add(0, at=0).add(1, at=59.999).add(2, at=60).watermark(59).watermark(60).watermark(120)
    written = write(script, store, on_commit=Note(str(path)))
    found = notes(path)
    assert {note["url"] for note in found} == {item.value.url for item in written.manifests}
    assert {(note["type"], note["records"]) for note in found} == {("manifest", 2), ("manifest", 1)}
    assert {note["window"] for note in found} == {item.value.window for item in written.manifests}
