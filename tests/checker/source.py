"""The lines that a run was given."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def read_lines(path: Path, id_field: str | None) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Yield each line of a file that is not blank, as a dead letter would hold it, and its record.

    Args:
      path: JSON lines, gzipped if the name ends in `.gz`.
      id_field: a field that every record has.

    Yields:
      None for a record if the run must reject the line.
    """
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        for line in filter(bytes.strip, file):
            raw = line.rstrip(b"\r\n")
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError:
                yield raw.hex(), None
            else:
                yield text, _record_of(text, id_field)


def _record_of(text: str, id_field: str | None) -> dict[str, Any] | None:
    try:
        record = json.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) and (id_field is None or id_field in record) else None
