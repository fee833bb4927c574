"""Turns what a box is given into lines, one JSON object each, or an error that says why it can't."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from beam_s3box.errors import NotAnObjectError, RecordError
from beam_s3box.records.encoding import (
    BACKSLASH,
    LINE_OPTIONS,
    NUL_CHARACTER,
    SCHEMA_MISMATCH,
    TOO_LARGE,
    VALUE_TOO_LONG,
    RecordRules,
    encode_record,
)
from beam_s3box.records.json_values import json_default
from beam_s3box.records.rejected_records import RejectedRecord
from beam_s3box.records.routing import Encoders, Router
from beam_s3box.records.selector import StreamSelector
from beam_s3box.sizes import KiB

_BATCH_BYTES: Final = 256 * KiB
"""Bytes of the lines that are checked and packed together."""

_BATCH_ROWS: Final = 2_000
"""The most rows that are checked together, if they are short."""

_REASONS_OF_OBJECTS: Final = (TOO_LARGE, VALUE_TOO_LONG, NUL_CHARACTER, SCHEMA_MISMATCH)
"""Reasons for which a JSON object is rejected; every other reason means that the record is not a JSON object."""


class _RouterOfThread(threading.local):
    """The router of each thread: a router is not thread-safe."""

    def __init__(self, selector: StreamSelector, rules: RecordRules, encoders: Encoders | None) -> None:
        self.router = Router(selector, rules, encoders)


class RecordReader:
    """Turns records into lines of JSON. Safe from many threads.

    Args:
      selector: names the stream of the records.
      rules: what else makes a record invalid.
      encoders: turn lines into what the format packs; None if it packs lines.
    """

    def __init__(self, selector: StreamSelector, rules: RecordRules, encoders: Encoders | None = None) -> None:
        self._rules = rules
        # a shorter line without a backslash breaks no rule, and this check is cheap
        self._harmless_bytes = rules.harmless_bytes
        self._local = _RouterOfThread(selector, rules, encoders)
        self._packs_lines = encoders is None

    def line(self, record: Any) -> bytes:
        """Return one record as a line without its line break.

        Raises:
          NotAnObjectError: the record is not one JSON object.
          RecordError: the object is too large, or Redshift can't store it.
        """
        if type(record) is dict and self._packs_lines:
            # most records: naming the stream would cost more than encoding the record
            try:
                try:
                    line = orjson.dumps(record, json_default, LINE_OPTIONS)[:-1]
                except TypeError:
                    line = encode_record(record)
                if BACKSLASH in line or len(line) > self._harmless_bytes:
                    line = self._rules.check(line)
            except RecordError as exc:
                raise _error(exc.reason, str(exc)) from exc
            return line
        routed = self._local.router.route(record)
        if isinstance(routed, RejectedRecord):
            raise _error(routed.reason, routed.detail)
        return routed[1]

    def batches(self, rows: Iterable[Any]) -> Iterator[list[bytes]]:
        """Yield the lines of the rows, in order, some hundred at a time; also those before a row that is rejected.

        Raises:
          NotAnObjectError, RecordError: see `line`.
        """
        lines: list[bytes] = []
        texts: list[bytes] = []
        size = 0
        try:
            for row in rows:
                if type(row) is bytes:
                    texts.append(row)
                else:
                    self._check(texts, lines)
                    row = self.line(row)
                    lines.append(row)
                size += len(row)
                if size >= _BATCH_BYTES or len(lines) + len(texts) >= _BATCH_ROWS:
                    self._check(texts, lines)
                    # released before they are yielded: an exception that is raised here next must not yield them again
                    ready, lines, size = lines, [], 0
                    yield ready
            self._check(texts, lines)
        except Exception:
            # also an exception of the iterable itself: the rows before it are packed
            with contextlib.suppress(RecordError):
                self._check(texts, lines)
            yield lines
            raise
        yield lines

    def _check(self, texts: list[bytes], lines: list[bytes]) -> None:
        """Move the texts to the lines; if one is rejected, only those before it."""
        if not texts:
            return
        checked, texts[:] = texts[:], []
        if checked[0].endswith(b"\n"):
            # as files yield them
            checked = [text.rstrip(b"\r\n") for text in checked]
        groups, rejected = self._local.router.route_lines(checked)
        if rejected:
            # finds the first of them, and raises its error
            lines.extend(map(self.line, checked))
        else:
            lines.extend(line for group in groups.values() for line in group)


def _error(reason: str, detail: str) -> RecordError:
    # the record itself is not quoted: errors are logged, and records may be confidential
    kind = RecordError if reason in _REASONS_OF_OBJECTS else NotAnObjectError
    return kind(f"{reason}: {detail}; the record was not packed", reason)
