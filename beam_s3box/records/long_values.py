"""Texts that are too long for Redshift: found in a line of JSON without parsing it, and truncated.

Redshift's VARCHAR holds 65,535 bytes, and so does a text inside a SUPER. A longer one makes COPY reject all files of
its manifest. What counts is the length of the text itself in UTF-8, not of its JSON representation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

import orjson

from beam_s3box.errors import ConfigurationError

LongValues: TypeAlias = Literal["reject", "truncate", "keep"]
"""What happens to a record with a text that is too long for Redshift."""

MAX_TEXT_BYTES: Final = 65_535
"""Bytes of UTF-8 in a VARCHAR, and in a text inside a SUPER (Redshift's developer guide: r_Character_types and
limitations-super)."""

_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_COLON = re.compile(rb"[ \t\r\n]*+:")
_NAME_BEFORE = re.compile(rb'"((?:[^"\\]|\\.)*+)"[ \t\r\n]*+:[ \t\r\n]*+\Z', re.DOTALL)
_NAME_BYTES = 300
"""The bytes before a text that are searched for its name."""


class LongText(NamedTuple):
    """A text that Redshift can't store.

    Attributes:
      start, end: its position in the line, including quotes.
      text: its bytes in UTF-8.
      is_key: whether it is the name of a field.
      name: the field's name as it is in the line; empty if there is none, as in an array.
    """

    start: int
    end: int
    text: bytes
    is_key: bool
    name: str


def check_long_values(long_values: str) -> None:
    """Raise ConfigurationError if this is not one of the choices."""
    choices = get_args(LongValues)
    if long_values not in choices:
        raise ConfigurationError(f"long_values={long_values!r} must be one of {', '.join(map(repr, choices))}")


def long_texts(line: bytes, most: int = MAX_TEXT_BYTES) -> Iterator[LongText]:
    """Yield the texts of a line of valid JSON that are longer than `most` bytes, in order."""
    if not _may_have_long_text(line, most):
        return
    for match in _TEXT.finditer(line):
        start, end = match.span()
        # in JSON no text is shorter than in UTF-8
        if end - start - 2 > most:
            text = orjson.loads(match[0]).encode("utf-8")
            if len(text) > most:
                before = _NAME_BEFORE.search(line, max(0, start - _NAME_BYTES), start)
                name = before[1].decode("utf-8", "replace") if before else ""
                yield LongText(start, end, text, _COLON.match(line, end) is not None, name)


def cut(line: bytes, found: list[LongText], most: int = MAX_TEXT_BYTES) -> bytes:
    """Return the line with its long texts truncated to `most` bytes, each at the end of a character."""
    parts, done = [], 0
    for long in found:
        kept = long.text[:most].decode("utf-8", "ignore")
        parts += [line[done : long.start], orjson.dumps(kept)]
        done = long.end
    return b"".join([*parts, line[done:]])


def _may_have_long_text(line: bytes, most: int) -> bool:
    """Return whether there might be a long text. Cheap; false positives are possible."""
    if len(line) <= most:
        return False
    # without escaped quotes every text is between two quotes
    return b'\\"' in line or max(map(len, line.split(b'"'))) > most
