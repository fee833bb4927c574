"""Which runner carries which form of the write; a pipeline is built for each, and none runs."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner, DirectRunner, SwitchingDirectRunner
from apache_beam.runners.direct.test_direct_runner import TestDirectRunner
from apache_beam.runners.portability.flink_runner import FlinkRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.portability.prism_runner import PrismRunner
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms.periodicsequence import PeriodicImpulse
from apache_beam.transforms.window import FixedWindows

from beam_s3box import ConfigurationError, WriteToS3Box, WriteToS3BoxResult

LOCAL = {
    "DirectRunner": SwitchingDirectRunner,
    "BundleBasedDirectRunner": BundleBasedDirectRunner,
    "FnApiRunner": FnApiRunner,
}
DATAFLOW = [
    "--project=my-project-123",
    "--region=us-central1",
    "--temp_location=gs://bucket/t",
    "--staging_location=gs://bucket/s",
]
BY_FIELD: dict[str, Any] = {"domain_field": "d", "namespace_field": "n"}


def write(runner: Any, source: beam.PTransform, *flags: str, **arguments: Any) -> WriteToS3BoxResult:
    """Build the pipeline; to build is to check."""
    pipeline = beam.Pipeline(runner=runner, options=PipelineOptions(list(flags)))
    result = pipeline | source | WriteToS3Box("memory://engines", **BY_FIELD, **arguments)
    assert isinstance(result, WriteToS3BoxResult)
    return result


def unbounded(runner: Any, *flags: str) -> WriteToS3BoxResult:
    return write(runner, PeriodicImpulse(), *flags, windowing=FixedWindows(60))


def bounded(runner: Any, packing: Any, *flags: str) -> WriteToS3BoxResult:
    return write(runner, beam.Create([{}]), *flags, packing=packing)


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("flags", [[], ["--streaming"]])
def test_unbounded_input_is_refused_on_beams_local_runners(name: str, flags: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        unbounded(LOCAL[name](), *flags)
    message = str(caught.value)
    assert f"the input is unbounded, and {name} holds no watermark back for timers: it would lose records" in message
    assert "use --runner=PrismRunner on one machine, or --runner=FlinkRunner or --runner=DataflowRunner" in message


def test_so_it_is_on_runners_that_derive_from_these_or_are_the_default() -> None:
    for runner, name in (
        (TestDirectRunner(), "DirectRunner"),
        (DirectRunner(), "DirectRunner"),
        (None, "DirectRunner"),
    ):
        with pytest.raises(ConfigurationError, match=rf"unbounded, and {name} holds no watermark"):
            unbounded(runner)


@pytest.mark.parametrize("name", ["DirectRunner", "BundleBasedDirectRunner"])
def test_timers_of_real_time_are_refused_where_beam_loses_what_they_seal(name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"packing='stateful' needs timers of real time.*{name} loses records.*"
                                                 r"use packing='auto', or --runner=PrismRunner"):  # fmt: skip
        bounded(LOCAL[name](), "stateful")


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("packing", ["auto", "group"])
def test_bounded_input_works_on_all_of_them(name: str, packing: str) -> None:
    bounded(LOCAL[name](), packing)


def test_fn_api_runner_packs_bounded_input_by_state() -> None:
    bounded(FnApiRunner(), "stateful")


@pytest.mark.parametrize("name", LOCAL)
def test_a_test_stream_may_feed_any_runner(name: str) -> None:
    """It steps the watermark by itself; also when steps, windows and other inputs lie between."""
    write(LOCAL[name](), TestStream(), windowing=FixedWindows(60))
    pipeline = beam.Pipeline(runner=LOCAL[name](), options=PipelineOptions([]))
    stepped = pipeline | TestStream() | "Step" >> beam.Map(dict)
    both = (pipeline | beam.Create([{}]), stepped) | beam.Flatten()
    both | beam.WindowInto(FixedWindows(60)) | WriteToS3Box("memory://engines", **BY_FIELD)


def test_a_test_stream_elsewhere_in_the_pipeline_excuses_nothing() -> None:
    pipeline = beam.Pipeline(runner=BundleBasedDirectRunner(), options=PipelineOptions([]))
    pipeline | TestStream()
    with pytest.raises(ConfigurationError, match="the input is unbounded"):
        pipeline | PeriodicImpulse() | WriteToS3Box("memory://engines", **BY_FIELD, windowing=FixedWindows(60))


@pytest.mark.parametrize("runner", [PrismRunner, FlinkRunner, PortableRunner, DataflowRunner])
def test_streams_and_state_work_elsewhere(runner: type) -> None:
    flags = DATAFLOW if runner is DataflowRunner else []
    unbounded(runner(), *flags)
    bounded(runner(), "stateful", *flags)


FLINK = [FlinkRunner, PortableRunner]


@pytest.mark.parametrize("runner", FLINK)
@pytest.mark.parametrize("packing", ["auto", "stateful"])
def test_checkpoints_within_a_bundle_are_refused_on_flink(runner: type, packing: str) -> None:
    source = PeriodicImpulse() if packing == "auto" else beam.Create([{}])
    windowing = FixedWindows(60)
    with pytest.raises(
        ConfigurationError,
        match=r"checkpointing_interval=5000 without finish_bundle_before_checkpointing loses records on Flink.*"
        r"add --finish_bundle_before_checkpointing",
    ):
        write(runner(), source, "--checkpointing_interval=5000", packing=packing, windowing=windowing)


@pytest.mark.parametrize(
    "flags",
    [
        ["--finish_bundle_before_checkpointing=false"],
        ["--finish_bundle_before_checkpointing=False"],
        ["--finish_bundle_before_checkpointing=0"],
    ],
)
def test_the_flag_that_says_no_is_none(flags: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="checkpointing_interval=5000"):
        unbounded(FlinkRunner(), "--checkpointing_interval=5000", *flags)


@pytest.mark.parametrize("runner", FLINK)
@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--checkpointing_interval=-1"],
        ["--checkpointing_interval=5000", "--finish_bundle_before_checkpointing"],
        ["--checkpointing_interval=5000", "--finish_bundle_before_checkpointing=true"],
        ["--finish_bundle_before_checkpointing"],
    ],
)
def test_flink_without_checkpoints_or_with_the_flag(runner: type, flags: list[str]) -> None:
    unbounded(runner(), *flags)
    bounded(runner(), "stateful", *flags)


def test_grouping_keeps_nothing_that_a_checkpoint_could_forget() -> None:
    bounded(FlinkRunner(), "auto", "--checkpointing_interval=5000")


@pytest.mark.parametrize(
    ("runner", "forbids"), [(PrismRunner, True), (PortableRunner, True), (FlinkRunner, False), (DataflowRunner, False)]
)
def test_splits_are_forbidden_where_prism_would_forget_state(runner: type, forbids: bool) -> None:
    flags = DATAFLOW if runner is DataflowRunner else []
    for result in (unbounded(runner(), *flags), bounded(runner(), "stateful", *flags)):
        assert ("prism_disable_sdf_split" in experiments(result)) == forbids


def test_without_state_prism_may_split() -> None:
    assert "prism_disable_sdf_split" not in experiments(bounded(PrismRunner(), "auto"))


def test_other_experiments_stay() -> None:
    result = bounded(PrismRunner(), "stateful", "--experiments=mine")
    assert {"mine", "prism_disable_sdf_split"} <= set(experiments(result))


def experiments(result: WriteToS3BoxResult) -> list[str]:
    return result.shards.pipeline.options.view_as(DebugOptions).experiments or []
