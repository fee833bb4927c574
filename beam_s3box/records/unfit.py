"""A value that can't be written."""

from __future__ import annotations

from typing import Any

from beam_s3box.errors import RecordError


class Unfit:
    """A value that can't be written; a reader leaves it in its record, which is rejected with what is said here.

    Args:
      detail: what is wrong.
      shown: what a dead letter shows of it.
      reason: one of `beam_s3box.records.encoding.REASONS`.
    """

    __slots__ = ("detail", "reason", "shown")

    def __init__(self, detail: str, shown: Any, reason: str = "unsupported-value") -> None:
        self.detail = detail
        self.shown = shown
        self.reason = reason

    def error(self) -> RecordError:
        """Return what the record is rejected with."""
        return RecordError(self.detail, self.reason)
