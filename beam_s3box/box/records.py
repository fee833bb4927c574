"""What a box takes: one JSON object a record, as a line, or an error that says why not."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from beam_s3box.errors import NotAnObjectError, RecordError
from beam_s3box.records.encoding import (
    BACKSLASH,
    JSON_OPTIONS,
    NUL_CHARACTER,
    SCHEMA_MISMATCH,
    TOO_LARGE,
    VALUE_TOO_LONG,
    RecordRules,
    encode_record,
    json_default,
)
from beam_s3box.records.routing import Encoders, RejectedRecord, Router, StreamSelector
from beam_s3box.records.streams import Stream
from beam_s3box.sizes import KiB

_BATCH_BYTES: Final = 256 * KiB
"""Bytes of the lines that are checked and packed together."""

_BATCH_ROWS: Final = 2_000
"""The same for rows that are short."""

_OBJECTS_REFUSED: Final = (TOO_LARGE, VALUE_TOO_LONG, NUL_CHARACTER, SCHEMA_MISMATCH)
"""Reasons that objects are refused for: everything else is no object, or can't be written as one."""


class _RouterOfThread(threading.local):
    """A router serves one thread."""

    def __init__(self, selector: StreamSelector, rules: RecordRules, encoders: Encoders | None) -> None:
        self.router = Router(selector, rules, encoders)


class RecordReader:
    """Turns records into lines of JSON, one thread beside the other.

    Args:
      stream: whose records these are.
      rules: what else makes a record unfit.
      encoders: turn lines into what the format packs; None where it packs lines.
    """

    def __init__(self, stream: Stream, rules: RecordRules, encoders: Encoders | None = None) -> None:
        self._rules = rules
        # a shorter line without a backslash breaks no rule, and to ask that first is cheap
        self._harmless_bytes = rules.harmless_bytes
        self._local = _RouterOfThread(StreamSelector(stream.domain, stream.namespace), rules, encoders)
        self._packs_lines = encoders is None

    def line(self, record: Any) -> bytes:
        """Return one record as a line without its line break.

        Raises:
          NotAnObjectError: not one JSON object.
          RecordError: an object that is too large, or that Redshift can't store.
        """
        if type(record) is dict and self._packs_lines:
            # most records: to name the stream would cost more than to encode the record
            try:
                try:
                    line = orjson.dumps(record, json_default, JSON_OPTIONS)
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
        """Yield the rows' lines, in order, some hundred at a time; the lines before a row that is refused come first.

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
                    # let go of before they are given away: what is raised here next must not give them away again
                    ready, lines, size = lines, [], 0
                    yield ready
            self._check(texts, lines)
        except Exception:
            # also what the rows themselves raise: what came before is packed
            with contextlib.suppress(RecordError):
                self._check(texts, lines)
            yield lines
            raise
        yield lines

    def _check(self, texts: list[bytes], lines: list[bytes]) -> None:
        """Placement the texts to the lines; if one is refused, only those before it."""
        if not texts:
            return
        checked, texts[:] = texts[:], []
        if checked[0].endswith(b"\n"):
            # as files yield them
            checked = [text.rstrip(b"\r\n") for text in checked]
        groups, refused = self._local.router.route_lines(checked)
        if refused:
            # to find the first of them, and to raise it
            lines.extend(map(self.line, checked))
        else:
            lines.extend(line for group in groups.values() for line in group)


def _error(reason: str, detail: str) -> RecordError:
    # the record itself is not quoted: errors end in logs, and records are the user's
    kind = RecordError if reason in _OBJECTS_REFUSED else NotAnObjectError
    return kind(f"{reason}: {detail}; the record was not packed", reason)
