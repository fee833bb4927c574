"""Files that can't be read, as dead letters: a job without an end does not fail because of one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from beam_s3box.errors import ConfigurationError, ObjectArchivedError, ObjectNotFoundError
from beam_s3box.jobs.read.files import FileRange, Reading, read_part
from beam_s3box.jobs.read.row_batches import ReadRow
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.encoding import OBJECT_GONE, OBJECT_REPLACED, UNREADABLE_FILE
from beam_s3box.records.rejected_rows import RejectedRow
from beam_s3box.stores.s3_reads import ObjectReplacedError

UNREADABLE: Final = (ConfigurationError, ObjectArchivedError, ObjectNotFoundError)
"""What a file alone is to blame for; anything else, as a denied access, would meet the next one too."""


def read_or_reject(part: FileRange, reading: Reading) -> Iterator[ReadRow]:
    """Yield the records of a file or a part of it; and, where it can't be read on, a rejected row that says why.

    Raises:
      StoreError: what the file is not to blame for.
    """
    line = 0
    try:
        for batch in read_part(part, reading):
            line = batch.numbers[-1] if isinstance(batch, LineBatch) else batch.line
            yield batch
    except UNREADABLE as exc:
        where = f"; of its records those up to line {line} were read" if line else ""
        yield RejectedRow(_reason(exc), f"{exc}{where}", part.path, line + 1, _shown(part))


def _reason(error: Exception) -> str:
    if isinstance(error, ObjectNotFoundError):
        return OBJECT_GONE
    return OBJECT_REPLACED if isinstance(error.__cause__, ObjectReplacedError) else UNREADABLE_FILE


def _shown(part: FileRange) -> bytes:
    """Return the file and its version, by which it may be found where the bucket keeps versions."""
    return f"{part.path} {part.version}".strip().encode("utf-8", "backslashreplace")
