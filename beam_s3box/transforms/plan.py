"""What all steps of one write share, fixed when the pipeline is built."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from beam_s3box.claims import RunClaim
from beam_s3box.cutter import DEFAULT_BUDGET, HALF, Budget
from beam_s3box.formats import Format
from beam_s3box.layout import Layout
from beam_s3box.limits import StreamLimits
from beam_s3box.records import RecordRules
from beam_s3box.routing import StreamNaming
from beam_s3box.stores import Store
from beam_s3box.streams import Stream


@dataclasses.dataclass(frozen=True)
class WritePlan:
    """Settings of one write; pickled into every step, without clients or credentials.

    Attributes:
      store: where objects go.
      layout: their keys.
      format: of shards.
      naming: how a record names its stream.
      rules: what makes a record unfit.
      limits_of: the limits of a stream.
      claim: to the run id.
      check_run: whether workers ask first that no other execution finished under the run id.
      fail_on_bad_record: whether an unfit record fails the pipeline.
      upload_concurrency: uploads at a time in each worker process.
      budget: what one bundle may hold before it hands on rests.
      seal_from: a bundle seals what fills at least this much of a shard, and sends on the rest.
    """

    store: Store
    layout: Layout
    format: Format
    naming: StreamNaming
    rules: RecordRules
    limits_of: Callable[[Stream], StreamLimits]
    claim: RunClaim
    check_run: bool
    fail_on_bad_record: bool
    upload_concurrency: int
    budget: Budget = DEFAULT_BUDGET
    seal_from: float = HALF
