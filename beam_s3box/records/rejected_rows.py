"""A row that a reader could not turn into a record: it goes on in the record's place, and ends as a dead letter."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class RejectedRow:
    """What a reader yields instead of a record, among the records; the write counts it as one, and keeps it aside.

    Attributes:
      reason: one of `beam_s3box.records.encoding.REASONS`.
      detail: what exactly is wrong.
      source: path of the file.
      line: of the file, the first being 1; for formats without lines the number of the row.
      raw: the row as it is in the file or, where that is not text, as much of it as JSON can say.
    """

    reason: str
    detail: str
    source: str
    line: int
    raw: bytes
