"""Which runner supports which form of the write; a pipeline is built for each, and none runs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions
from apache_beam.pipeline import PipelineVisitor
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner, DirectRunner, SwitchingDirectRunner
from apache_beam.runners.direct.test_direct_runner import TestDirectRunner
from apache_beam.runners.portability.flink_runner import FlinkRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.portability.prism_runner import PrismRunner
from apache_beam.runners.portability.spark_runner import SparkRunner
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms.periodicsequence import PeriodicImpulse
from apache_beam.transforms.window import FixedWindows

from beam_s3box import ConfigurationError, Tuning, WriteToS3Box, WriteToS3BoxResult

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
NO_CACHE = "cache_disabled"


def write(runner: Any, source: beam.PTransform, *flags: str, **arguments: Any) -> WriteToS3BoxResult:
    """Build the pipeline, which checks it."""
    pipeline = beam.Pipeline(runner=runner, options=PipelineOptions(list(flags)))
    result = pipeline | source | WriteToS3Box("s3://bucket/engines", **BY_FIELD, **arguments)
    assert isinstance(result, WriteToS3BoxResult)
    return result


def unbounded(runner: Any, *flags: str) -> WriteToS3BoxResult:
    return write(runner, PeriodicImpulse(), *flags, windowing=FixedWindows(60))


def bounded(runner: Any, packing: Any, *flags: str) -> WriteToS3BoxResult:
    return write(runner, beam.Create([{}]), *flags, tuning=Tuning(packing=packing))


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("flags", [[], ["--streaming"]])
def test_unbounded_input_is_refused_on_beams_local_runners(name: str, flags: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        unbounded(LOCAL[name](), *flags)
    message = str(caught.value)
    assert (
        f"the input is unbounded, and {name} does not hold back the watermark for timers: it would lose records"
        in message
    )
    assert "use --runner=PrismRunner on one machine, or --runner=FlinkRunner or --runner=DataflowRunner" in message


def test_so_it_is_on_runners_that_derive_from_these_or_are_the_default() -> None:
    for runner, name in (
        (TestDirectRunner(), "DirectRunner"),
        (DirectRunner(), "DirectRunner"),
        (None, "DirectRunner"),
    ):
        with pytest.raises(ConfigurationError, match=rf"unbounded, and {name} does not hold back the watermark"):
            unbounded(runner)


@pytest.mark.parametrize("name", ["DirectRunner", "BundleBasedDirectRunner"])
def test_timers_of_real_time_are_refused_where_beam_loses_what_they_seal(name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"packing='stateful' needs processing-time timers.*{name} loses records.*"
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
    """It controls the watermark itself; also if steps, windows and other inputs are in between."""
    write(LOCAL[name](), TestStream(), windowing=FixedWindows(60))
    pipeline = beam.Pipeline(runner=LOCAL[name](), options=PipelineOptions([]))
    stepped = pipeline | TestStream() | "Step" >> beam.Map(dict)
    both = (pipeline | beam.Create([{}]), stepped) | beam.Flatten()
    both | beam.WindowInto(FixedWindows(60)) | WriteToS3Box("s3://bucket/engines", **BY_FIELD)


def test_a_test_stream_elsewhere_in_the_pipeline_excuses_nothing() -> None:
    pipeline = beam.Pipeline(runner=BundleBasedDirectRunner(), options=PipelineOptions([]))
    pipeline | TestStream()
    with pytest.raises(ConfigurationError, match="the input is unbounded"):
        pipeline | PeriodicImpulse() | WriteToS3Box("s3://bucket/engines", **BY_FIELD, windowing=FixedWindows(60))


@pytest.mark.parametrize("runner", [PrismRunner, FlinkRunner, PortableRunner, DataflowRunner])
def test_streams_and_state_work_elsewhere(runner: type) -> None:
    flags = DATAFLOW if runner is DataflowRunner else []
    unbounded(runner(), *flags)
    bounded(runner(), "stateful", *flags)


def test_streams_and_timers_are_refused_on_spark() -> None:
    with pytest.raises(
        ConfigurationError, match=r"unbounded.*SparkRunner is for bounded input; use --runner=FlinkRunner"
    ):
        unbounded(SparkRunner())
    with pytest.raises(ConfigurationError, match=r"packing='stateful'.*SparkRunner does not fire; use packing='auto'"):
        bounded(SparkRunner(), "stateful")


@pytest.mark.parametrize("runner", [SparkRunner, PortableRunner])
def test_spark_shuffles_what_a_bundle_emits_once(runner: type) -> None:
    """Two shuffles would be fed by two executions of the bundle, which cut their shards differently."""
    pipeline = beam.Pipeline(runner=runner(), options=PipelineOptions([]))
    pipeline | beam.Create([{}]) | "Write" >> WriteToS3Box("s3://bucket/engines", **BY_FIELD)
    consumers = consumers_of_outputs(pipeline, "Write/EncodeSegments")
    assert consumers == {"Write/UploadWhole", "Write/WriteDeadLetters", "Write/Key_remainders", "Write/Key_totals"}
    assert consumers_of_outputs(pipeline, "Write/UploadWhole") == {"Write/Key_whole"}
    assert consumers_of_outputs(pipeline, "Write/WriteDeadLetters/WriteFiles") == {"Write/Key_dead_letters"}
    for name in ("whole", "remainders", "dead_letters", "totals"):
        assert consumers_of_outputs(pipeline, f"Write/Key_{name}") == {"Write/AllOutputs"}
    assert consumers_of_outputs(pipeline, "Write/AllOutputs") == {"Write/ShuffleTogether"}


def test_no_shuffle_on_spark_is_a_reshuffle() -> None:
    """It is what is grouped by stream that two executions of a bundle have in common."""
    pipeline = beam.Pipeline(runner=SparkRunner(), options=PipelineOptions([]))
    records = pipeline | beam.Impulse() | beam.Map(lambda _: {})
    records | "Write" >> WriteToS3Box("s3://bucket/engines", **BY_FIELD)
    assert not [part.full_label for part in parts_of(pipeline) if isinstance(part.transform, beam.Reshuffle)]
    assert consumers_of_outputs(pipeline, "Write/Only_of_streams") == {"Write/PackShards"}
    assert consumers_of_outputs(pipeline, "Write/PackShards") == {"Write/EmitShards", "Write/WriteManifests"}


@pytest.mark.parametrize("flags", [[], [f"--{NO_CACHE}"]])
@pytest.mark.parametrize("runner", [SparkRunner, PortableRunner])
def test_spark_keeps_nothing_that_it_computed(runner: type, flags: list[str]) -> None:
    assert options_of(bounded(runner(), "auto", *flags))[NO_CACHE] is True


@pytest.mark.parametrize("runner", [FlinkRunner, PrismRunner, DataflowRunner, FnApiRunner])
def test_other_runners_are_asked_for_no_such_thing(runner: type) -> None:
    flags = DATAFLOW if runner is DataflowRunner else []
    assert options_of(bounded(runner(), "auto", *flags)).get(NO_CACHE) is None


@pytest.mark.parametrize("value", ["=false", "=0", " False"])
def test_who_wants_spark_to_keep_outputs_is_refused(value: str) -> None:
    with pytest.raises(
        ConfigurationError,
        match=rf"{NO_CACHE}=\w+ loses records on Spark when an executor is lost: .*leave the option out, and the write sets",
    ):
        bounded(SparkRunner(), "auto", *f"--{NO_CACHE}{value}".split())


def test_other_runners_do_without_that_shuffle() -> None:
    pipeline = beam.Pipeline(runner=FlinkRunner(), options=PipelineOptions([]))
    pipeline | beam.Create([{}]) | "Write" >> WriteToS3Box("s3://bucket/engines", **BY_FIELD)
    assert "Write/PackShards" in consumers_of_outputs(pipeline, "Write/EncodeSegments")


def parts_of(pipeline: beam.Pipeline) -> list[Any]:
    """Return all steps, with those that they are made of."""
    parts: list[Any] = []

    class Visitor(PipelineVisitor):
        def enter_composite_transform(self, part: Any) -> None:
            parts.append(part)

        def visit_transform(self, part: Any) -> None:
            parts.append(part)

    pipeline.visit(Visitor())
    return parts


def consumers_of_outputs(pipeline: beam.Pipeline, step: str) -> set[str]:
    """Return the labels of the steps that take what a step emits, without those within other steps."""
    parts = parts_of(pipeline)
    [found] = [part for part in parts if part.full_label == step]
    outputs = set(found.outputs.values())
    takers = {part.full_label for part in parts if part is not found and outputs & set(part.inputs)}
    return {label for label in takers if not any(label.startswith(f"{other}/") for other in takers)}


FLINK = [FlinkRunner, PortableRunner]
WHOLE_BUNDLES = "finish_bundle_before_checkpointing"


@pytest.mark.parametrize("runner", FLINK)
@pytest.mark.parametrize("flags", [[], ["--checkpointing_interval=5000"], ["--streaming"], [f"--{WHOLE_BUNDLES}"]])
def test_flink_finishes_bundles_before_a_checkpoint(runner: type, flags: list[str]) -> None:
    """With any input and any packing; also without an interval, because the cluster may have one."""
    for result in (
        unbounded(runner(), *flags),
        bounded(runner(), "auto", *flags),
        bounded(runner(), "group", *flags),
        bounded(runner(), "stateful", *flags),
    ):
        assert whole_bundles(result) is True


NEVER = 2**63 - 1


@pytest.mark.parametrize("runner", FLINK)
@pytest.mark.parametrize(
    ("flags", "milliseconds"),
    [
        ([], NEVER),
        (["--checkpointing_interval=-1"], NEVER),
        (["--checkpointing_interval=5000"], None),
        (["--shutdown_sources_after_idle_ms=0"], 0),
    ],
)
def test_unbounded_input_on_flink_keeps_its_source(runner: type, flags: list[str], milliseconds: Any) -> None:
    """As Beam does with an interval; otherwise no checkpoint that the cluster enables would complete."""
    assert options_of(unbounded(runner(), *flags)).get("shutdown_sources_after_idle_ms") == milliseconds


def test_bounded_input_on_flink_ends_its_job() -> None:
    for result in (bounded(FlinkRunner(), "stateful"), unbounded(PrismRunner())):
        assert options_of(result).get("shutdown_sources_after_idle_ms") is None


def test_options_may_come_as_keywords() -> None:
    pipeline = beam.Pipeline(runner=FlinkRunner(), options=PipelineOptions([], checkpointing_interval=5000))
    result = pipeline | beam.Create([{}]) | WriteToS3Box("s3://bucket/engines", **BY_FIELD)
    assert whole_bundles(result) is True
    refusing = beam.Pipeline(runner=FlinkRunner(), options=PipelineOptions([], **{WHOLE_BUNDLES: False}))
    records = refusing | beam.Create([{}])
    with pytest.raises(ConfigurationError, match=f"{WHOLE_BUNDLES}=False loses records"):
        _ = records | WriteToS3Box("s3://bucket/engines", **BY_FIELD)


@pytest.mark.parametrize("runner", FLINK)
@pytest.mark.parametrize("value", ["=false", "=False", "=0", " false"])
@pytest.mark.parametrize("interval", [[], ["--checkpointing_interval=5000"]])
def test_who_wants_checkpoints_within_a_bundle_is_refused(runner: type, value: str, interval: list[str]) -> None:
    flags = [*interval, *f"--{WHOLE_BUNDLES}{value}".split()]
    for packing in ("auto", "stateful"):
        with pytest.raises(
            ConfigurationError,
            match=rf"{WHOLE_BUNDLES}=\w+ loses records on Flink.*leave the option out, and the write sets it",
        ):
            bounded(runner(), packing, *flags)
    with pytest.raises(ConfigurationError, match=WHOLE_BUNDLES):
        unbounded(runner(), *flags)


def test_a_program_may_define_the_option_itself() -> None:
    """In a process of its own: Beam knows each class of options until the process ends."""
    program = f"""
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from beam_s3box import WriteToS3Box

class Mine(PipelineOptions):
    @classmethod
    def _add_argparse_args(cls, parser):
        parser.add_argument("--checkpointing_interval", type=int)
        parser.add_argument("--{WHOLE_BUNDLES}", action="store_true")

options = PipelineOptions(["--runner=FlinkRunner", "--checkpointing_interval=5000"])
pipeline = beam.Pipeline(options=options)
pipeline | beam.Create([{{}}]) | WriteToS3Box("memory://e", domain="d", namespace="n")
assert pipeline.options.view_as(Mine).{WHOLE_BUNDLES} is True
assert pipeline.options.get_all_options()["{WHOLE_BUNDLES}"] is True
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("runner", [PrismRunner, SparkRunner, DataflowRunner, FnApiRunner, BundleBasedDirectRunner])
def test_other_runners_are_told_nothing_of_it(runner: type) -> None:
    flags = DATAFLOW if runner is DataflowRunner else []
    assert whole_bundles(bounded(runner(), "auto", *flags)) is None


@pytest.mark.parametrize(
    ("runner", "logged"),
    [
        (FlinkRunner, [WHOLE_BUNDLES]),
        (PortableRunner, [WHOLE_BUNDLES, NO_CACHE, "prism_disable_sdf_split"]),
        (PrismRunner, ["prism_disable_sdf_split"]),
        (FnApiRunner, []),
    ],
)
def test_what_the_write_sets_is_logged_once(runner: type, logged: list[str], caplog: pytest.LogCaptureFixture) -> None:
    pipeline = beam.Pipeline(runner=runner(), options=PipelineOptions([]))
    records = pipeline | beam.Create([{}])
    with caplog.at_level("INFO"):
        for number in "12":
            step = WriteToS3Box("s3://bucket/engines", **BY_FIELD, tuning=Tuning(packing="stateful"), manifests=None)
            records | f"Write{number}" >> step
    ours = [record for record in caplog.records if record.name == "beam_s3box.transforms.engines"]
    assert [record.levelname for record in ours] == ["INFO"] * len(logged)
    assert all(name in record.getMessage() for name, record in zip(logged, ours, strict=True))


def test_what_keeps_a_source_alive_on_flink_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="beam_s3box.transforms.engines"):
        unbounded(FlinkRunner())
    logged = [record.getMessage().split(":")[0] for record in caplog.records if "engines" in record.name]
    assert logged == [f"set --{WHOLE_BUNDLES}", f"set --shutdown_sources_after_idle_ms={NEVER}"]


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


def options_of(result: WriteToS3BoxResult) -> dict[str, Any]:
    options: dict[str, Any] = result.shards.pipeline.options.get_all_options(
        drop_default=True, retain_unknown_options=True
    )
    return options


def whole_bundles(result: WriteToS3BoxResult) -> Any:
    return options_of(result).get(WHOLE_BUNDLES)


def experiments(result: WriteToS3BoxResult) -> list[str]:
    return result.shards.pipeline.options.view_as(DebugOptions).experiments or []
