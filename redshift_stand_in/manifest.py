"""A manifest as COPY reads it: plain UTF-8 JSON with a list of entries."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from redshift_stand_in.errors import RedshiftError, s3_error


class Entry(NamedTuple):
    """A file of the load.

    Attributes:
      url: the full path of one object.
      mandatory: whether COPY ends if it is missing.
    """

    url: str
    mandatory: bool


def read_manifest(body: bytes) -> list[Entry]:
    """Return the entries in order; a file that is listed twice is returned twice; dg:copy-parameters-data-source-s3."""
    try:
        document = json.loads(body.decode("utf-8"))
    except ValueError as exc:
        raise _malformed(f"it is not JSON in UTF-8: {exc}") from exc
    entries = document.get("entries") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise _malformed("it has no list of entries")
    return [_entry(entry) for entry in entries]


def _entry(entry: Any) -> Entry:
    url = entry.get("url") if isinstance(entry, dict) else None
    if not isinstance(url, str) or not url.startswith("s3://"):
        raise _malformed(f"an entry has no url of S3: {entry}")
    mandatory = entry.get("mandatory", False)
    if not isinstance(mandatory, bool):
        raise _malformed(f"mandatory is true or false, not {mandatory!r}")
    return Entry(url, mandatory)


def _malformed(reason: str) -> RedshiftError:
    return s3_error(f"Manifest file is not in correct json format: {reason}")
