"""Records that could not be packed: kept with the reason, next to the data."""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import orjson

from beam_s3box.engine.uploads import put_once
from beam_s3box.errors import RecordError
from beam_s3box.formats import JSON_LINES
from beam_s3box.metrics import DEAD_LETTERS, Metrics
from beam_s3box.records.routing import RejectedRecord
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import Segment
from beam_s3box.shards.runs import new_origin
from beam_s3box.sizes import MiB
from beam_s3box.stores import Store

_FORMAT: Final = dataclasses.replace(JSON_LINES, level=1)
"""Read by people now and then: to be fast counts more than to be small."""

_LINE_COST: Final = 64
"""Bytes that a line takes in memory besides its text."""


class DeadLetter(NamedTuple):
    """A record that could not be packed.

    Attributes:
      domain, namespace: its stream, None if that could not be told.
      reason: one of `beam_s3box.records.encoding.REASONS`.
      detail: what exactly is wrong.
      raw: the record's own bytes, or its repr if it could not be encoded.
    """

    domain: str | None
    namespace: str | None
    reason: str
    detail: str
    raw: bytes

    @classmethod
    def of(cls, refused: RejectedRecord) -> DeadLetter:
        """Return the dead letter for a refused record."""
        stream, reason, detail, raw = refused
        domain, namespace = stream or (None, None)
        return cls(domain, namespace, reason, detail, raw)

    def line(self) -> bytes:
        """Return the dead letter as a line of JSON; bytes that are not UTF-8 stand as hexadecimal under `raw_hex`."""
        domain, namespace, reason, detail, raw = self
        # most dead letters of a run say the same, but for the record itself
        begin = _begin_of_line(domain, namespace, reason, detail)
        try:
            return b'%b,"raw":%b}' % (begin, orjson.dumps(raw.decode("utf-8")))
        except UnicodeDecodeError:
            return b'%b,"raw_hex":"%b"}' % (begin, raw.hex().encode("ascii"))


@functools.lru_cache(1_000)
def _begin_of_line(domain: str | None, namespace: str | None, reason: str, detail: str) -> bytes:
    plain = detail.encode("utf-8", "backslashreplace").decode("utf-8")
    fields = {"domain": domain, "namespace": namespace, "reason": reason, "detail": plain}
    return orjson.dumps(fields).removesuffix(b"}")


class DeadLetterFiles:
    """Writes dead letters to gzip files of JSON lines, create-only, under an origin of their own.

    They are compressed as they come, like records: what waits for its file takes little memory, however many there are.

    Args:
      store: where to.
      layout: of the run.
      origin: names the files; default: a new one.
      segment_bytes: memory of the lines that are compressed together.
      file_bytes: compressed bytes that wait for a file of theirs.
    """

    def __init__(
        self,
        store: Store,
        layout: Layout,
        origin: str | None = None,
        *,
        segment_bytes: int = MiB,
        file_bytes: int = 8 * MiB,
    ) -> None:
        self._store = store
        self._layout = layout
        self._origin = new_origin() if origin is None else origin
        self._segment_bytes = segment_bytes
        self._file_bytes = file_bytes
        self._sequence = 0
        self._lines: list[bytes] = []
        self._lines_bytes = 0
        self._segments: list[Segment] = []
        self._segments_bytes = 0

    def add(self, letters: Iterable[DeadLetter]) -> None:
        """Keep dead letters; write a file whenever there are enough.

        Raises:
          StoreError: the store refused or failed, after its retries.
        """
        for letter in letters:
            line = letter.line()
            self._lines.append(line)
            self._lines_bytes += len(line) + _LINE_COST
            if self._lines_bytes >= self._segment_bytes:
                self._compress()
                if self._segments_bytes >= self._file_bytes:
                    self._write()

    def finish(self) -> None:
        """Write what waits.

        Raises:
          StoreError: the store refused or failed, after its retries.
        """
        if self._lines:
            self._compress()
        if self._segments:
            self._write()

    def _compress(self) -> None:
        segment = _FORMAT.cut(self._lines)
        self._segments.append(segment)
        self._segments_bytes += len(segment.data)
        self._lines, self._lines_bytes = [], 0

    def _write(self) -> None:
        body = _FORMAT.join(self._segments)
        sha256 = hashlib.sha256(body).hexdigest()
        key = self._layout.dead_letters(self._origin, self._sequence, sha256)
        put_once(self._store, key, body, sha256, _FORMAT.content_type)
        self._sequence += 1
        self._segments, self._segments_bytes = [], 0


def accept_dead_letters(refused: Sequence[RejectedRecord], counts: Metrics, *, fail: bool) -> list[DeadLetter]:
    """Return refused records as dead letters, counted by their reasons.

    Raises:
      RecordError: the run shall fail on the first: says the reason, how the record begins, and the way out.
    """
    if fail and refused:
        first = refused[0]
        raise RecordError(
            f"{first.reason}: {first.detail}; the record begins {first.raw[:200]!r}. "
            "on_bad_record='dead_letter' keeps such records aside instead",
            first.reason,
        )
    for reason, number in collections.Counter(one.reason for one in refused).items():
        counts.count(DEAD_LETTERS, number)
        counts.count(f"{DEAD_LETTERS}_{reason.replace('-', '_')}", number)
    return list(map(DeadLetter.of, refused))
