"""Which runners carry which form of the write: one that would lose records is set right, or refused."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import DebugOptions
from apache_beam.testing.test_stream import TestStream

from beam_s3box.errors import ConfigurationError

_LOCAL_RUNNERS = frozenset({"SwitchingDirectRunner", "DirectRunner", "BundleBasedDirectRunner", "FnApiRunner"})
"""Beam's runners in pure Python; subclasses, such as TestDirectRunner, are meant too."""

_FLINK_RUNNERS = frozenset({"FlinkRunner", "PortableRunner"})
_PRISM_RUNNERS = frozenset({"PrismRunner", "PortableRunner"})
"""Runners that Prism may be behind; another engine passes over experiments that it does not know."""

_NO_SPLITS = "prism_disable_sdf_split"
_ADVICE = (
    "use --runner=PrismRunner on one machine, or --runner=FlinkRunner or --runner=DataflowRunner, or bound the input"
)


def make_safe(records: beam.PCollection[Any], *, stateful: bool) -> None:
    """Keep the pipeline's runner from losing records of this input, by its options or by an error.

    On Prism state goes with an experiment that forbids splits: a bundle that pauses is split there, and when it ends
    it overwrites the state of the keys that were given away with what it was at the begin.

    Raises:
      ConfigurationError: unbounded input, or timers of real time, on Beam's local runner in Python; checkpoints on
        Flink that begin within a bundle. Names the way out.
    """
    pipeline = records.pipeline
    # a notebook's runner hands the pipeline to another one
    actual = getattr(pipeline.runner, "_underlying_runner", pipeline.runner)
    runner = _kind(actual, _LOCAL_RUNNERS | _FLINK_RUNNERS | _PRISM_RUNNERS)
    if runner in _LOCAL_RUNNERS and not _comes_from_test_stream(records):
        # by the name that users know it by
        _check_local(runner.removeprefix("Switching"), unbounded=not records.is_bounded, stateful=stateful)
    if runner in _FLINK_RUNNERS and stateful:
        _check_flink(pipeline.options.get_all_options(retain_unknown_options=True))
    if runner in _PRISM_RUNNERS and stateful:
        pipeline.options.view_as(DebugOptions).add_experiment(_NO_SPLITS)


def _check_local(runner: str, *, unbounded: bool, stateful: bool) -> None:
    if unbounded:
        raise ConfigurationError(
            f"the input is unbounded, and {runner} holds no watermark back for timers: it would lose records in "
            f"silence; {_ADVICE}"
        )
    if stateful and runner != "FnApiRunner":
        raise ConfigurationError(
            f"packing='stateful' needs timers of real time, and with these {runner} loses records in silence; use "
            "packing='auto', or --runner=PrismRunner"
        )


def _check_flink(options: dict[str, Any]) -> None:
    interval = options.get("checkpointing_interval")
    if interval is None or int(interval) <= 0 or _is_on(options.get("finish_bundle_before_checkpointing")):
        return
    raise ConfigurationError(
        f"checkpointing_interval={interval} without finish_bundle_before_checkpointing loses records on Flink, with no "
        "fault needed: a checkpoint within a bundle forgets what the bundle holds; add "
        "--finish_bundle_before_checkpointing"
    )


def _is_on(value: Any) -> bool:
    return value is not None and str(value).lower() not in ("false", "0")


def _kind(runner: Any, known: frozenset[str]) -> str:
    """Return which of the known runners this is, by its class or one that it derives from; "" for any other."""
    return next((kind.__name__ for kind in type(runner).__mro__ if kind.__name__ in known), "")


def _comes_from_test_stream(records: beam.PCollection[Any]) -> bool:
    """Return whether Beam's TestStream feeds this PCollection; it steps watermark and clock by itself."""
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
