"""A row of a file before it is converted: fields by name, or a row that can't be read."""

from __future__ import annotations

import dataclasses
from typing import Any

from redshift_stand_in.errors import RowError

MAX_ROW = 4_194_304
"""Bytes of an input row, of a JSON object and of an Avro block: the 4 MB of dg:r_COPY and
dg:copy-parameters-data-format. Whether they mean 4,000,000 is not documented."""

RAW_SHOWN = 1_024
"""Bytes of a row that the system views keep."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a file.

    Attributes:
      line: the last line of it in its file, from 1.
      raw: its text, for the system views.
      value: an object, or an array for JSONPaths; an error if it can't be read.
    """

    line: int
    raw: str
    value: Any | RowError


def check_size(size: int, pipes: int, what: str) -> RowError | None:
    """Return the error of a row that is too long; a `|` counts twice in the row, not in the object."""
    if size > MAX_ROW:
        return RowError(1216, f"{what} exceeds the max size of {MAX_ROW} bytes")
    if size + pipes > MAX_ROW:
        return RowError(1216, f"Input row exceeds the max size of {MAX_ROW} bytes: a pipe character counts twice")
    return None
