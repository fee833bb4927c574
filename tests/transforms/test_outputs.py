"""What a write emits reaches every consumer, also steps that only take batches, which Beam fills before a bundle ends."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from beam_s3box import ConfigurationError, WriteToS3Box
from beam_s3box.stores import LocalStore
from tests.transforms.batch_steps import BAD, RECORDS, STREAMS, TakeBatches, TakeElements, build, noted

RUNNERS = {
    "FnApiRunner": ["--runner=FnApiRunner"],
    "DirectRunner": ["--runner=DirectRunner"],
    "BundleBased": ["--runner=BundleBasedDirectRunner"],
    "multi_processing": ["--runner=DirectRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2"],
}


@pytest.mark.parametrize("runner", RUNNERS)
def test_each_output_reaches_a_step_that_takes_batches(runner: str, tmp_path: pathlib.Path) -> None:
    take = TakeElements if runner == "BundleBased" else TakeBatches
    build(tmp_path, LocalStore(tmp_path / "box"), RUNNERS[runner], take).run().wait_until_finish()
    found = noted(tmp_path)
    assert found == noted(tmp_path, "every_")
    assert found["shards"] >= RECORDS // 5
    assert (found["manifests"], found["dead_letters"], found["input_totals"]) == (STREAMS, BAD, 1)


class _AtTheEnd(beam.DoFn):
    def process(self, element: Any) -> None:
        self._element = element

    def finish_bundle(self) -> Iterator[WindowedValue]:
        window = GlobalWindow()
        yield WindowedValue(self._element, window.max_timestamp(), (window,))


def test_what_beam_loses(tmp_path: pathlib.Path) -> None:
    """If this fails, Beam no longer drops what `finish_bundle` emits, and OneByOne can go."""
    with beam.Pipeline(argv=RUNNERS["FnApiRunner"]) as pipeline:
        late = pipeline | beam.Create([1]) | beam.ParDo(_AtTheEnd()).with_output_types(int)
        _ = late | beam.ParDo(TakeBatches(tmp_path, "shards"))
    assert noted(tmp_path)["shards"] == 0


@pytest.mark.parametrize("step", [beam.Map(print), "Named" >> beam.Map(print), beam.Reshuffle()])
def test_a_step_that_is_applied_to_all_outputs_says_which_there_are(step: beam.PTransform) -> None:
    pipeline = beam.Pipeline()
    result = pipeline | beam.Create([{"i": 1}]) | WriteToS3Box("memory://outputs", domain="d", namespace="n")
    with pytest.raises(AttributeError, match=r"apply the next step to one of them, result\.shards, result\.manifests"):
        result | step
    assert not hasattr(result, "manifest")


def test_a_write_that_is_applied_to_no_collection_says_what_it_takes() -> None:
    with pytest.raises(ConfigurationError, match=r"takes one PCollection: apply it to the records, as records \| Wri"):
        beam.Pipeline() | WriteToS3Box("memory://outputs", domain="d", namespace="n")
