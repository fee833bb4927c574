"""What all steps of one write share, fixed when the pipeline is built."""

from __future__ import annotations

import dataclasses

from beam_s3box.cutter import HALF
from beam_s3box.plan import RunPlan


@dataclasses.dataclass(frozen=True, kw_only=True)
class WritePlan(RunPlan):
    """Settings of one write; pickled into every step.

    Attributes:
      check_run: whether workers ask first that no other execution finished under the run id.
      seal_from: a bundle seals what fills at least this much of a shard, and sends on the rest.
    """

    check_run: bool
    seal_from: float = HALF
