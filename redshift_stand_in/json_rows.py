"""Rows of a JSON file: objects and arrays at the root, with white space in between; dg:copy-parameters-data-format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from redshift_stand_in.errors import RowError
from redshift_stand_in.rows import RAW_SHOWN, Row, check_size
from redshift_stand_in.values import DECODER

_SPACE = re.compile(r"[ \t\r\n]*")
_START = re.compile(r"[{\[]")
_NEXT_ROW = re.compile(r"\n[ \t\r]*(?=[{\[])")


def json_rows(data: bytes, skipped_lines: int = 0) -> Iterator[Row]:
    """Yield a row for each object or array of a file, and for each piece of it that is neither.

    Invalid UTF-8 is decoded to lone surrogates, and the column decides what to do with them.
    """
    text = data.decode("utf-8", errors="surrogateescape")
    position = _after_lines(text, skipped_lines)
    line, counted = 1, 0
    while True:
        position = _space_end(text, position)
        if position == len(text):
            return
        value, end = _next(text, position)
        line += text.count("\n", counted, end)
        counted = end
        yield Row(line, text[position : position + RAW_SHOWN], value)
        position = end


def _after_lines(text: str, count: int) -> int:
    position = 0
    for _ in range(count):
        found = text.find("\n", position)
        if found < 0:
            return len(text)
        position = found + 1
    return position


def _space_end(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found is not None else position


def _next(text: str, position: int) -> tuple[Any | RowError, int]:
    """Return the value that begins here and its end, or the error and where to go on reading."""
    if text[position] not in "{[":
        found = _START.search(text, position)
        end = found.start() if found is not None else len(text)
        return RowError(1216, "Invalid JSON: no object or array at the root", value=text[position:end][:100]), end
    try:
        value, end = DECODER.raw_decode(text, position)
    except (ValueError, RecursionError) as exc:
        found = _NEXT_ROW.search(text, position)
        return RowError(1216, f"Invalid JSON: {exc}"), found.end() if found is not None else len(text)
    # the limit counts bytes, not characters
    raw = text[position:end].encode("utf-8", errors="surrogateescape")
    return check_size(len(raw), raw.count(b"|"), "Maximum size of a JSON object") or value, end
