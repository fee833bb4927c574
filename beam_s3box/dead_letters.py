"""Records that could not be packed: kept whole, with the reason, beside the data."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import orjson

from beam_s3box.errors import RecordError
from beam_s3box.formats import JSON_LINES
from beam_s3box.layout import Layout
from beam_s3box.metrics import DEAD_LETTERS, Metrics
from beam_s3box.routing import Refused
from beam_s3box.runs import new_token
from beam_s3box.sizes import MiB
from beam_s3box.stores import Store
from beam_s3box.uploads import put_once

_ORIGIN_CHARACTERS = 12
_FILE_BYTES = 16 * MiB
"""Memory of the dead letters that wait for a file of theirs."""

_LETTER_COST = 512
"""Bytes that a dead letter takes in memory beside its record: its detail, and Python's objects."""


class DeadLetter(NamedTuple):
    """A record that could not be packed.

    Attributes:
      domain, namespace: its stream, None if that could not be told.
      reason: one of `beam_s3box.records.REASONS`.
      detail: what exactly is wrong.
      raw: the record's own bytes, or its repr if it could not be encoded.
    """

    domain: str | None
    namespace: str | None
    reason: str
    detail: str
    raw: bytes

    @classmethod
    def of(cls, refused: Refused) -> DeadLetter:
        """Return the dead letter for a refused record."""
        domain, namespace = refused.stream or (None, None)
        return cls(domain, namespace, refused.reason, refused.detail, refused.raw)

    def line(self) -> bytes:
        """Return the dead letter as a line of JSON; bytes that are not UTF-8 stand as hexadecimal under `raw_hex`."""
        fields: dict[str, object] = {
            "domain": self.domain,
            "namespace": self.namespace,
            "reason": self.reason,
            "detail": self.detail.encode("utf-8", "backslashreplace").decode("utf-8"),
        }
        try:
            fields["raw"] = self.raw.decode("utf-8")
        except UnicodeDecodeError:
            fields["raw_hex"] = self.raw.hex()
        return orjson.dumps(fields)


def write_dead_letters(store: Store, layout: Layout, origin: str, sequence: int, letters: Sequence[DeadLetter]) -> str:
    """Write dead letters as one gzip file of JSON lines, create-only, and return its key.

    Raises:
      StoreError: the store refused or failed, after its retries.
    """
    body = JSON_LINES.join([JSON_LINES.cut([letter.line() for letter in letters])])
    sha256 = hashlib.sha256(body).hexdigest()
    key = layout.dead_letters(origin, sequence, sha256)
    put_once(store, key, body, sha256, JSON_LINES.content_type)
    return key


class DeadLetterFiles:
    """Gathers dead letters and writes them to files, under an origin of their own."""

    def __init__(self, store: Store, layout: Layout) -> None:
        self._store = store
        self._layout = layout
        self._origin = new_token(_ORIGIN_CHARACTERS)
        self._sequence = 0
        self._waiting: list[DeadLetter] = []
        self._bytes = 0

    def add(self, letter: DeadLetter) -> None:
        """Keep a dead letter; write a file when there are enough."""
        self._waiting.append(letter)
        self._bytes += len(letter.raw) + _LETTER_COST
        if self._bytes >= _FILE_BYTES:
            self.finish()

    def finish(self) -> None:
        """Write what waits."""
        if self._waiting:
            write_dead_letters(self._store, self._layout, self._origin, self._sequence, self._waiting)
            self._sequence += 1
            self._waiting, self._bytes = [], 0


def accept_dead_letter(refused: Refused, counts: Metrics, *, fail: bool) -> DeadLetter:
    """Return a refused record as a dead letter, counted by its reason.

    Raises:
      RecordError: the run shall fail on it: says the reason, how the record begins, and the way out.
    """
    if fail:
        raise RecordError(
            f"{refused.reason}: {refused.detail}; the record begins {refused.raw[:200]!r}. "
            "on_bad_record='dead_letter' keeps such records aside instead",
            refused.reason,
        )
    counts.count(DEAD_LETTERS)
    counts.count(f"{DEAD_LETTERS}_{refused.reason.replace('-', '_')}")
    return DeadLetter.of(refused)
