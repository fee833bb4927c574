"""Tuning: what few writes ever set, apart from the parameters that most do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions

from beam_s3box.engine.plan import check_upload_concurrency
from beam_s3box.engine.shard_builder import DEFAULT_MIN_FILL
from beam_s3box.errors import ConfigurationError
from beam_s3box.system.outside import wall_seconds

PartialShards: TypeAlias = Literal["auto", "shuffle", "seal"]
Packing: TypeAlias = Literal["auto", "group", "stateful"]

_FULL_ONLY = 2.0
"""No partial shard is filled this much: with state, others may still fill it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tuning:
    """Settings for experts; the defaults suit nearly every write.

    Attributes:
      partial_shards: what a bundle does with less than half of a shard: `"shuffle"` sends it on, to be packed with
        those of other bundles; `"seal"` makes it a shard at once, which is right where one bundle holds all input, and
        keeps memory bounded there; `"auto"`: `"seal"` on FnApiRunner with one worker, which makes one bundle of all
        input, otherwise `"shuffle"`.
      packing: `"group"`: the partial shards of all bundles are grouped, then cut; `"stateful"`: they are collected by
        state and timers, which implement the time limit; `"auto"`: `"group"` for bounded input, `"stateful"` for
        unbounded.
      upload_concurrency: uploads at a time in each worker process.
      clock: returns seconds since the epoch, as the runner's processing-time timers count them.

    Raises:
      ConfigurationError: a value that can't work.
    """

    partial_shards: PartialShards = "auto"
    packing: Packing = "auto"
    upload_concurrency: int = 8
    clock: Callable[[], float] = wall_seconds

    def __post_init__(self) -> None:
        for name, choices in (("partial_shards", PartialShards), ("packing", Packing)):
            value, (*most, last) = getattr(self, name), get_args(choices)
            if value not in (*most, last):
                raise ConfigurationError(f"{name}={value!r} must be {', '.join(map(repr, most))} or {last!r}")
        check_upload_concurrency(self.upload_concurrency)
        if not callable(self.clock):
            raise ConfigurationError(f"clock={self.clock!r} must be a function without arguments, such as time.time")

    def is_stateful(self, records: beam.PCollection[Any]) -> bool:
        """Return whether these records are packed by state and timers.

        Raises:
          ConfigurationError: unbounded input can't be grouped.
        """
        if self.packing == "group" and not records.is_bounded:
            raise ConfigurationError(
                "packing='group' needs bounded input: the shards of unbounded input would wait for an end that never "
                "comes; use packing='auto' or 'stateful'"
            )
        return self.packing == "stateful" or not records.is_bounded

    def min_fill_to_seal(self, pipeline: beam.Pipeline, *, stateful: bool) -> float:
        """Return how much of a shard must be filled for a bundle to seal it."""
        if stateful:
            return _FULL_ONLY
        seals = self.partial_shards == "seal" or (self.partial_shards == "auto" and _makes_one_bundle(pipeline))
        return 0.0 if seals else DEFAULT_MIN_FILL


def _makes_one_bundle(pipeline: beam.Pipeline) -> bool:
    """Return whether the runner is Beam's local one with one worker in this process."""
    direct = pipeline.options.view_as(DirectOptions)
    in_process = direct.direct_num_workers == 1 and direct.direct_running_mode == "in_memory"
    return type(pipeline.runner).__name__ == "FnApiRunner" and in_process
