"""Reads the files of dead letters back."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import orjson

from beam_s3box.engine.dead_letters import DeadLetter
from beam_s3box.errors import S3BoxError
from beam_s3box.records.lines import split_lines
from beam_s3box.sizes import GiB, MiB
from beam_s3box.stores import Store

_BLOCK_BYTES: Final = 1 * MiB
_MAX_LINE_BYTES: Final = 1 * GiB
"""More than the longest record takes, with all that JSON escapes."""


class StoredLetter(NamedTuple):
    """A dead letter, and where in the store it is.

    Attributes:
      letter: what it says.
      key: of its file.
      line: its line there, from 1.
    """

    letter: DeadLetter
    key: str
    line: int

    @property
    def is_placed(self) -> bool:
        """Whether it says where in the input its record was, which no other record was."""
        letter = self.letter
        return bool(letter.source) and (bool(letter.line) or letter.offset is not None)


def read_letters(store: Store, key: str) -> Iterator[StoredLetter]:
    """Yield the dead letters of a file, a few at a time in memory.

    Raises:
      S3BoxError: the file is damaged.
      StoreError: it can't be read.
    """
    body, number = store.get(key), 0
    try:
        for batch in split_lines(_inflated(body), max_line_bytes=_MAX_LINE_BYTES):
            for number, line in zip(batch.numbers, batch.lines, strict=True):
                yield StoredLetter(_letter_of(orjson.loads(line)), key, number)
    except (zlib.error, ValueError, KeyError, TypeError) as exc:
        raise S3BoxError(
            f"{store.url(key)} is damaged behind line {number}, or another program changed it "
            f"({type(exc).__name__}: {exc}): nothing of it was written; restore it, or remove it if it is lost"
        ) from exc


def _letter_of(values: dict[str, Any]) -> DeadLetter:
    raw = bytes.fromhex(values["raw_hex"]) if "raw_hex" in values else values["raw"].encode("utf-8")
    return DeadLetter(
        values["domain"],
        values["namespace"],
        values["reason"],
        values["detail"],
        raw,
        values.get("source"),
        values.get("line"),
        values.get("offset"),
    )


def _inflated(body: bytes) -> Iterator[bytes]:
    inflater, data = zlib.decompressobj(31), body
    while data:
        yield inflater.decompress(data, _BLOCK_BYTES)
        data = inflater.unconsumed_tail
    if not inflater.eof:
        raise zlib.error("it is cut off")
