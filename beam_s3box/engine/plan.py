"""What every run that writes shards is made of, with Beam or without; settings only, so that it travels anywhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.dead_letter_limit import NOT_ALL, DeadLetterLimit
from beam_s3box.engine.shard_builder import DEFAULT_BUDGET_BYTES
from beam_s3box.formats import Format
from beam_s3box.records.encoding import RecordRules
from beam_s3box.records.routing import StreamSelector
from beam_s3box.records.streams import Stream
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.limits import StreamLimits
from beam_s3box.stores import Store


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunPlan:
    """Settings of one run; it holds no clients and no credentials.

    Attributes:
      store: where objects go.
      layout: their keys.
      format: of shards.
      selector: how a record names its stream.
      rules: what makes a record unfit.
      limits_of: the limits of a stream.
      claim: to the run id.
      fail_on_bad_record: whether an unfit record fails the run.
      dead_letter_limit: how many records may be dead letters.
      upload_concurrency: uploads at a time in each process.
      budget: bytes that may wait in memory before the largest streams are given away or sealed early.
    """

    store: Store
    layout: Layout
    format: Format
    selector: StreamSelector
    rules: RecordRules
    limits_of: Callable[[Stream], StreamLimits]
    claim: RunClaim
    fail_on_bad_record: bool = False
    dead_letter_limit: DeadLetterLimit = NOT_ALL
    upload_concurrency: int = 8
    budget: int = DEFAULT_BUDGET_BYTES

    @property
    def dead_letters_url(self) -> str:
        """Where the files of dead letters are."""
        return self.store.url(self.layout.dead_letter_folder)
