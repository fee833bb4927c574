"""Lines that a reader could not use: they go on in the records' place, and end as dead letters."""

from __future__ import annotations

import dataclasses

from beam_s3box.records.batches import LineBatch


@dataclasses.dataclass(frozen=True, slots=True)
class RejectedLines:
    """What a reader yields instead of a LineBatch; the write counts its lines as records, and keeps them aside.

    Attributes:
      reason: one of `beam_s3box.records.encoding.REASONS`.
      detail: what exactly is wrong with all of them.
      batch: the lines.
    """

    reason: str
    detail: str
    batch: LineBatch
