"""Columns that stand in the path of a file, as `dt=2024-01-01/`, taken into its records."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from collections.abc import Mapping
from typing import Final

import msgspec
import orjson

from beam_s3box.records.batches import LineBatch

_COLUMN: Final = re.compile(r"([^/=]+)=([^/]*)")
_NULL: Final = "__HIVE_DEFAULT_PARTITION__"
"""What Hive and Spark call the folder of records without a value."""

_decode: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def columns_of(path: str) -> dict[str, str | None]:
    """Return the columns in the folders of a path; their values stay text, with what is percent-encoded decoded.

    What would not be UTF-8 then stays as it is.
    """
    found = (_COLUMN.fullmatch(folder) for folder in path.split("/")[:-1])
    columns = {match[1]: match[2] for match in found if match}
    return {_decoded(name): None if value == _NULL else _decoded(value) for name, value in columns.items()}


def _decoded(text: str) -> str:
    try:
        return urllib.parse.unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def with_columns(batch: LineBatch, columns: Mapping[str, str | None]) -> LineBatch:
    """Return the records with columns as their first fields; a field that a record has itself stays as it is."""
    if not columns:
        return batch
    head = orjson.dumps(columns)[:-1]
    names = [orjson.dumps(name) for name in columns]
    if any("/" in name for name in columns):
        names.append(b"\\/")  # which a slash in a name may be written as
    lines = [_with_columns(line, head, names, columns) for line in batch.lines]
    return dataclasses.replace(batch, lines=lines)


def _with_columns(line: bytes, head: bytes, names: list[bytes], columns: Mapping[str, str | None]) -> bytes:
    text = line if line[:1] == b"{" else line.lstrip()
    if text[:1] != b"{":
        return line  # no object, and rejected
    # an escape may spell a name in another way
    if b"\\u" in text or any(name in text for name in names):
        try:
            record = _decode(text)
        except (msgspec.MsgspecError, RecursionError):
            return line  # rejected as it is
        columns = {name: value for name, value in columns.items() if name not in record}
        if not columns:
            return line
        head = orjson.dumps(columns)[:-1]
    rest = text[1:].lstrip()
    return head + rest if rest[:1] == b"}" else b"%b,%b" % (head, rest)
