"""Lines of JSON out of columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson

from beam_s3box.jobs.read.columns.json_texts import JsonTexts, objects_of
from beam_s3box.sizes import MiB

TEXT_BYTES: Final = 8 * MiB
"""Bytes of lines that are made together, about."""


def lines_of(names: Sequence[str], columns: Sequence[JsonTexts]) -> Any:
    """Return a line for each row, with its line break.

    Args:
      names: of the columns, which are at least one.
      columns: their JSON.
    """
    return objects_of(names, columns, "\n")


def pieces_of(batch: Any) -> Iterator[Any]:
    """Yield the rows of a batch of Arrow, so many at a time as make lines of `TEXT_BYTES`."""
    names = sum(len(orjson.dumps(name)) + 2 for name in batch.schema.names)
    row_bytes = max(1, names + batch.nbytes // max(batch.num_rows, 1))
    step = max(1, TEXT_BYTES // row_bytes)
    for start in range(0, batch.num_rows, step):
        yield batch.slice(start, step)
