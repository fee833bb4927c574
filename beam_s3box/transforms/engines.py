"""Which runners support which form of the write: one that would lose records is configured, or rejected."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import DebugOptions, PortableOptions
from apache_beam.testing.test_stream import TestStream

from beam_s3box.errors import ConfigurationError

LOCAL_RUNNERS = frozenset({"SwitchingDirectRunner", "DirectRunner", "BundleBasedDirectRunner", "FnApiRunner"})
"""Beam's runners in pure Python; including subclasses, such as TestDirectRunner."""

_FLINK_RUNNERS = frozenset({"FlinkRunner", "PortableRunner"})
_PRISM_RUNNERS = frozenset({"PrismRunner", "PortableRunner"})
"""Runners that may run on Prism; other engines ignore experiments that they do not know."""

_SPARK = "SparkRunner"
_SPARK_RUNNERS = frozenset({_SPARK, "PortableRunner"})
_OTHER_RUNNERS = frozenset({_SPARK, "DataflowRunner"})
"""Runners that never run on Flink or Prism, although one derives from PortableRunner."""

_LOCAL_MASTERS = {
    "FlinkRunner": ("flink_master", ("[local]", "[auto]")),
    _SPARK: ("spark_master_url", ("local",)),
}
"""The option that names the engine, and how it begins if Beam starts engine and workers itself, on this machine."""

_NO_SPLITS = "prism_disable_sdf_split"
_WHOLE_BUNDLES = "finish_bundle_before_checkpointing"
_IDLE_SOURCES = "shutdown_sources_after_idle_ms"
_NO_CACHE = "cache_disabled"
_NEVER = 2**63 - 1
"""The value that Beam's runner sets itself if the pipeline enables checkpoints."""

_LOST_AT_CHECKPOINTS = (
    "loses records on Flink, even without any failure",
    "a checkpoint of Flink loses what a bundle holds",
)
_LOST_WITH_EXECUTORS = (
    "loses records on Spark when an executor is lost",
    "Spark combines what an executor keeps of one execution of a stage with what another one computes again",
)

_ADVICE = (
    "use --runner=PrismRunner on one machine, or --runner=FlinkRunner or --runner=DataflowRunner, or bound the input"
)

_LOGGER = logging.getLogger(__name__)


class _FlinkOptions(DebugOptions):
    """Options of Flink's job server that Beam's Python SDK does not define.

    Not a direct subclass of PipelineOptions: Beam adds the arguments of all direct subclasses to the options of every
    pipeline, and a program that defines the same arguments could no longer run.
    """

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(f"--{_WHOLE_BUNDLES}", nargs="?", const=True)
        parser.add_argument(f"--{_IDLE_SOURCES}", type=int)


class _SparkOptions(DebugOptions):
    """The same for Spark's."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(f"--{_NO_CACHE}", nargs="?", const=True)


def configure_or_reject(records: beam.PCollection[Any], *, stateful: bool) -> None:
    """Keep the pipeline's runner from losing records of this input, by its options or by an error.

    On Flink a checkpoint during a bundle loses what the bundle holds, with any input and any packing. Whether there
    will be checkpoints is not known here, because the configuration of the cluster may enable them; so bundles are
    always finished first. Beam's runner does not know either: unless the pipeline enables checkpoints, it ends the
    Impulse before each Python source at once, and then runs the source in a loop that lets no checkpoint complete and
    fills the memory of the TaskManager. So the Impulse of unbounded input is kept alive.

    Spark's runner caches the outputs of a stage that has several. When an executor is lost Spark may repeat the stages
    before it, which distribute records differently, and then combines what is cached of the old distribution with parts
    of the new one. With its option that cache is off.

    On Prism, state needs an experiment that forbids splits: a bundle that pauses is split there, and when it ends it
    overwrites the state of the keys that were split off with their state at its start.

    Raises:
      ConfigurationError: unbounded input, or processing-time timers, on Beam's local Python runners or on Spark; Flink
        configured to start checkpoints during a bundle; Spark, to keep what it computed. Names the fix.
    """
    pipeline = records.pipeline
    runner = _kind_of_runner(pipeline)
    if runner in LOCAL_RUNNERS and not _comes_from_test_stream(records):
        # the name that users know
        _check_local(runner.removeprefix("Switching"), unbounded=not records.is_bounded, stateful=stateful)
    if runner == _SPARK:
        _check_spark(unbounded=not records.is_bounded, stateful=stateful)
    given = pipeline.options.get_all_options(drop_default=True, retain_unknown_options=True)
    if runner in _FLINK_RUNNERS:
        flink = pipeline.options.view_as(_FlinkOptions)
        _switch_on(_WHOLE_BUNDLES, _LOST_AT_CHECKPOINTS, flink, given)
        if not records.is_bounded:
            _keep_sources(flink, given)
    if may_repeat_bundles(records):
        _switch_on(_NO_CACHE, _LOST_WITH_EXECUTORS, pipeline.options.view_as(_SparkOptions), given)
    if runner in _PRISM_RUNNERS and stateful:
        _forbid_splits(pipeline.options.view_as(DebugOptions))


def _check_local(runner: str, *, unbounded: bool, stateful: bool) -> None:
    if unbounded:
        raise ConfigurationError(
            f"the input is unbounded, and {runner} does not hold back the watermark for timers: it would lose records "
            f"silently; {_ADVICE}"
        )
    if stateful and runner != "FnApiRunner":
        raise ConfigurationError(
            f"packing='stateful' needs processing-time timers, and with these {runner} loses records silently; use "
            "packing='auto', or --runner=PrismRunner"
        )


def _check_spark(*, unbounded: bool, stateful: bool) -> None:
    if unbounded:
        raise ConfigurationError(
            "the input is unbounded, and Beam runs no Python pipeline with state and timers as a stream on Spark: "
            "SparkRunner is for bounded input; use --runner=FlinkRunner, --runner=DataflowRunner, or "
            "--runner=PrismRunner on one machine"
        )
    if stateful:
        raise ConfigurationError(
            "packing='stateful' needs processing-time timers, which SparkRunner does not fire; use packing='auto'"
        )


def _switch_on(name: str, reason: tuple[str, str], options: DebugOptions, given: Mapping[str, Any]) -> None:
    """Set an option unless the pipeline sets it; a value that loses records is rejected, not overridden."""
    value, (when, loss) = given.get(name), reason
    if value is None:
        setattr(options, name, True)
        _LOGGER.info("set --%s: without it, %s", name, loss)
    elif not _is_on(value):
        raise ConfigurationError(f"{name}={value} {when}: {loss}; leave the option out, and the write sets it")


def _keep_sources(options: _FlinkOptions, given: Mapping[str, Any]) -> None:
    """Set what Beam's runner sets itself if it knows of checkpoints."""
    if given.get(_IDLE_SOURCES) is None and int(given.get("checkpointing_interval") or -1) <= 0:
        options.shutdown_sources_after_idle_ms = _NEVER
        _LOGGER.info(
            "set --%s=%d: otherwise checkpoints that only the cluster enables never complete; 0 lets a job end "
            "with its sources, if there are no checkpoints",
            _IDLE_SOURCES,
            _NEVER,
        )


def _forbid_splits(options: DebugOptions) -> None:
    if not options.lookup_experiment(_NO_SPLITS):
        options.add_experiment(_NO_SPLITS)
        _LOGGER.info("set --experiments=%s: a bundle that Prism splits overwrites state", _NO_SPLITS)


def runs_stages_in_order(pipeline: beam.Pipeline) -> bool:
    """Return whether the runner is one of Beam's in pure Python, of which most run one stage after the other."""
    return _kind_of_runner(pipeline) in LOCAL_RUNNERS


def may_repeat_bundles(records: beam.PCollection[Any]) -> bool:
    """Return whether the engine may be Spark, which executes a bundle again for each output that it needs again."""
    return records.is_bounded and _kind_of_runner(records.pipeline) in _SPARK_RUNNERS


def workers_may_be_elsewhere(pipeline: beam.Pipeline) -> bool:
    """Return whether workers may run on other machines or in containers, as far as runner and options tell.

    Runners that are not known here are taken for local ones.
    """
    runner = _kind_of_runner(pipeline)
    if runner in LOCAL_RUNNERS or not runner:
        return False
    if runner == "DataflowRunner":
        return True
    environment = pipeline.options.view_as(PortableOptions).environment_type
    return str(environment).upper() != "LOOPBACK" if environment else not _starts_workers_here(runner, pipeline)


def _starts_workers_here(runner: str, pipeline: beam.Pipeline) -> bool:
    """Return whether Beam chooses workers in this process if the options do not name them."""
    if runner not in _LOCAL_MASTERS:
        return runner == "PrismRunner"
    option, beginnings = _LOCAL_MASTERS[runner]
    master: str = pipeline.options.get_all_options()[option]
    return master.startswith(beginnings)


def _is_on(value: Any) -> bool:
    return str(value).lower() not in ("false", "0")


def _kind_of_runner(pipeline: beam.Pipeline) -> str:
    """Return which of the known runners this is, by its class or a base class; "" for any other."""
    # the runner of a notebook passes the pipeline to another one
    runner = getattr(pipeline.runner, "_underlying_runner", pipeline.runner)
    known = LOCAL_RUNNERS | _FLINK_RUNNERS | _PRISM_RUNNERS | _OTHER_RUNNERS
    return next((kind.__name__ for kind in type(runner).__mro__ if kind.__name__ in known), "")


def _comes_from_test_stream(records: beam.PCollection[Any]) -> bool:
    """Return whether the input comes from Beam's TestStream, which controls watermark and clock itself."""
    waiting, seen = [records], set()
    while waiting:
        producer = waiting.pop().producer
        if producer is None or producer in seen:
            continue
        if isinstance(producer.transform, TestStream):
            return True
        seen.add(producer)
        waiting.extend(producer.inputs)
    return False
