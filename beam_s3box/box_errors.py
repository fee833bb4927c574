"""What else an `S3Box` raises, beside the errors of `beam_s3box.errors`.

S3BoxError
├── RecordError
│   └── NotAnObjectError    what was packed is not one JSON object (also a ValueError)
└── BoxSealedError          the box takes no more records, or was given up

Each survives a pickle and a rebuild from its message, as all errors of this package do.
"""

from __future__ import annotations

from beam_s3box.errors import RecordError, S3BoxError
from beam_s3box.records import NOT_AN_OBJECT


class BoxSealedError(S3BoxError):
    """The box takes no more records: it was sealed, or given up."""


class NotAnObjectError(RecordError):
    """What was to be packed is not one JSON object, nor a value that can be written as one.

    Attributes:
      reason: one of the codes in `beam_s3box.records.REASONS`.
    """

    def __init__(self, message: str = "", reason: str = NOT_AN_OBJECT) -> None:
        super().__init__(message, reason)
