"""The settings that all steps of one write share, fixed when the pipeline is built."""

from __future__ import annotations

import dataclasses

from beam_s3box.engine.plan import RunPlan
from beam_s3box.engine.shard_builder import DEFAULT_MIN_FILL
from beam_s3box.transforms.windows import Windows


@dataclasses.dataclass(frozen=True, kw_only=True)
class WritePlan(RunPlan):
    """Settings of one write; pickled into every step.

    Attributes:
      windows: the windows of the write.
      min_fill_to_seal: a bundle seals what fills at least this much of a shard, and sends on the remainder.
      unbounded: whether the input is unbounded: then shards have a time limit, and a runner may go back and write the
        manifests of a firing again.
      check_before_reading: whether each process tries to write before it reads.
      repeats_bundles: whether the engine may be Spark, which executes a bundle again for each output that it needs.
    """

    windows: Windows
    min_fill_to_seal: float = DEFAULT_MIN_FILL
    unbounded: bool = False
    check_before_reading: bool = False
    repeats_bundles: bool = False
