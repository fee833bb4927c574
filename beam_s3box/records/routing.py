"""Routing: records become lines by stream; what can't be packed is rejected.

Lines of JSON are not parsed: a decoder of just the two fields checks the syntax of the whole line and skips all other
fields, which is several times faster than building a dict. It does not check the UTF-8 of what it skips, so the lines
of a batch are checked together first, and one by one only if that fails.
"""

from __future__ import annotations

import collections
import functools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
import orjson
from msgspec import DecodeError

from beam_s3box.checks import with_article
from beam_s3box.errors import RecordError
from beam_s3box.records.encoding import (
    BACKSLASH,
    INVALID_UTF8,
    MISSING_STREAM,
    NOT_AN_OBJECT,
    NOT_JSON,
    TOO_LARGE,
    RecordRules,
    diagnose,
    encode_record,
    invalid_utf8,
    not_an_object,
    original_bytes,
    to_single_line,
)
from beam_s3box.records.foreign import record_fix
from beam_s3box.records.json_values import as_mapping, unreadable, whole_number
from beam_s3box.records.lines import cut_line_of
from beam_s3box.records.paths import decoder_of, find_field
from beam_s3box.records.rejected_records import RejectedRecord, RejectedRecords
from beam_s3box.records.rejected_rows import RejectedRow
from beam_s3box.records.selector import StreamSelector, missing_field, split_key
from beam_s3box.records.streams import Stream

if TYPE_CHECKING:
    from beam_s3box.records.column_batch import ColumnBatch, Group

_MALFORMED = "JSON is malformed: "
"""The beginning of the decoder's message for text that is not JSON."""

_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""What the decoder raises: for a line that is not JSON, for one that is but has not the fields, and for a deep one."""

_check_syntax: Final = msgspec.json.Decoder(msgspec.Raw).decode

_KNOWN_STREAMS = 10_000
"""Maximum number of streams in a router's cache."""

Encoders: TypeAlias = Callable[[Stream], Callable[[bytes], bytes]]
"""Returns the encoder of a stream, from lines to what its format packs; both raise RecordError."""


class Router:
    """Turns records into lines by stream, and what can't be packed into `RejectedRecord`.

    A router is used by one thread; it does not keep records.

    Args:
      selector: how a record names its stream.
      rules: further rules that a record must not violate.
      encoders: turn lines into what the format packs; None if it packs lines.
    """

    def __init__(self, selector: StreamSelector, rules: RecordRules, encoders: Encoders | None = None) -> None:
        self._selector = selector
        self._rules = rules
        self._encoder_of = functools.lru_cache(_KNOWN_STREAMS)(encoders) if encoders else None
        self._fields = selector.fields
        self._paths = selector.paths
        self._decode, self._key_of = decoder_of(self._paths)
        self._stream_of_key = functools.lru_cache(_KNOWN_STREAMS)(self._check_key)
        self._texts_only = selector.stream is None and not selector.is_keyed

    def route(self, element: Any) -> tuple[Stream, bytes] | RejectedRecord:
        """Return the stream of one element and its encoded record, or why it is rejected."""
        routed = self._route(element)
        if self._encoder_of is None or isinstance(routed, RejectedRecord):
            return routed
        stream, line = routed
        try:
            return stream, self._encoder_of(stream)(line)
        except RecordError as exc:
            return RejectedRecord(stream, exc.reason, str(exc), original_bytes(element))

    def _route(self, element: Any) -> tuple[Stream, bytes] | RejectedRecord:
        """Return the stream and the line of one element, or why it is rejected."""
        stream: Stream | None = None
        if isinstance(element, RejectedRow):
            return RejectedRecord(stream, element.reason, element.detail, element.raw)
        try:
            if self._selector.is_keyed:
                stream, element = split_key(element)
            if isinstance(element, str | bytes):
                line = to_single_line(element)
                stream = self._stream_of_line(line, stream)
            else:
                line, stream = self._encode(element, stream)
            return stream, self._rules.check(line)
        except RecordError as exc:
            cut = cut_line_of(element) if isinstance(element, bytes) else None
            if cut is not None:
                return RejectedRecord(stream, TOO_LARGE, cut.detail, cut.head)
            return RejectedRecord(stream, exc.reason, str(exc), original_bytes(element))

    def route_lines(self, lines: list[bytes]) -> tuple[dict[Stream, list[bytes]], Sequence[RejectedRecord]]:
        """Return what is packed of lines (JSON text as bytes, without line breaks) by stream, and those rejected."""
        groups, rejected = self._route_lines(lines)
        if self._encoder_of is None:
            return groups, rejected
        encoded = {stream: _encode(stream, group, self._encoder_of, rejected) for stream, group in groups.items()}
        return {stream: rows for stream, rows in encoded.items() if rows}, rejected

    def route_columns(self, batch: ColumnBatch) -> tuple[dict[Stream, Group], ColumnBatch | None]:
        """Return rows by stream, and what is left of them for `route_lines`: what columns alone do not decide."""
        groups = self._groups_of(batch)
        if groups is None:
            return {}, batch
        named: dict[Stream, Group] = {}
        left: list[Group] = []
        for group in groups:
            try:
                stream = self._stream_of_key(group.key)
            except RecordError:
                left.append(group)
                continue
            if self._rules.might_have_nul(group.text):
                left.append(group)
            else:
                named[stream] = group
        return named, batch.part_of(left) if left else None

    def _groups_of(self, batch: ColumnBatch) -> list[Group] | None:
        if not self._texts_only or self._encoder_of is not None or batch.longest > self._rules.harmless_bytes:
            return None
        # a name with a dot may be that of a field within another
        if any(len(paths) != 1 for paths in self._paths):
            return None
        return batch.groups([paths[0][0] for paths in self._paths])

    def _route_lines(self, lines: list[bytes]) -> tuple[dict[Stream, list[bytes]], RejectedRecords]:
        """Return the lines by stream, in order, and the rejected ones."""
        text = b"".join(lines)
        if not self._texts_only or self._might_be_odd(lines, text):
            return self._route_one_by_one(lines)
        groups: dict[Any, list[bytes]] = {}
        fallback: dict[Stream, list[bytes]] = {}
        rejected = RejectedRecords()
        faults: dict[str | tuple[str, str], list[bytes]] = collections.defaultdict(list)
        decode, key_of, find = self._decode, self._key_of, groups.get
        # a separator keeps what is broken at the end of one line from being mended by the next
        is_text = text.isascii() or _utf8_fault(b"\n".join(lines)) is None
        candidates: Iterable[bytes] = lines if is_text else _without_utf8_faults(lines, faults)
        if text.startswith(b"["):
            candidates = _without_arrays(candidates, faults)  # the others are likely to be arrays as well
        for line in candidates:
            try:
                key = key_of(decode(line))
            except _UNREADABLE as exc:
                if type(exc) is DecodeError and BACKSLASH not in line:
                    # without a further call: an input may be bad altogether
                    faults[str(exc)].append(line)
                    continue
                why = self._clear_fault(line, exc)
                if why is not None:
                    faults[why].append(line)
                else:
                    self._add(fallback, rejected, line)
                continue
            group = find(key)
            if group is None:
                groups[key] = [line]
            else:
                group.append(line)
        for fault, some in faults.items():
            reason, detail = _malformed(fault) if isinstance(fault, str) else fault
            rejected.add(None, reason, detail, some)
        if not self._add_named(fallback, groups, rejected):
            return self._route_one_by_one(lines)
        return fallback, rejected

    def _add_named(
        self, named: dict[Stream, list[bytes]], groups: dict[Any, list[bytes]], rejected: RejectedRecords
    ) -> bool:
        """Add the groups by their streams; return False if two are one stream, named by a number and by its text."""
        for key, lines in groups.items():
            try:
                stream = self._stream_of_key(key)
            except RecordError as exc:
                rejected.add(None, exc.reason, str(exc), lines)
                continue
            if named.setdefault(stream, lines) is not lines:
                return False
        return True

    def _route_one_by_one(self, lines: list[bytes]) -> tuple[dict[Stream, list[bytes]], RejectedRecords]:
        groups: dict[Stream, list[bytes]] = {}
        rejected = RejectedRecords()
        for line in lines:
            self._add(groups, rejected, line)
        return groups, rejected

    def _add(self, groups: dict[Stream, list[bytes]], rejected: RejectedRecords, line: bytes) -> None:
        routed = self._route(line)
        if isinstance(routed, RejectedRecord):
            rejected.append(routed)
        else:
            groups.setdefault(routed[0], []).append(routed[1])

    def _might_be_odd(self, lines: list[bytes], text: bytes) -> bool:
        """Return whether a line could have line breaks, be truncated or violate a rule, checking them together."""
        return b"\n" in text or b"\r" in text or b"\0" in text or self._rules.might_violate(lines, text)

    def _stream_of_line(self, line: bytes, stream: Stream | None) -> Stream:
        """Return the stream of a line after checking all of its syntax and UTF-8."""
        fault = _utf8_fault(line)
        if fault is not None:
            raise RecordError(fault, INVALID_UTF8)
        try:
            decoded = self._decode(line)
        except _UNREADABLE as exc:
            return self._route_slowly(line, stream, exc)
        if stream is not None:
            return stream
        if self._selector.stream is not None:
            return self._selector.stream_of(_parse(line))
        return self._stream_of_key(self._key_of(decoded))

    def _check_key(self, key: Any) -> Stream:
        """Return the stream for the values of the fields that name it."""
        values = dict(zip(self._fields, key if len(self._fields) == 2 else (key,), strict=False))
        return self._selector.stream_of_values(values)

    def _clear_fault(self, line: bytes, exc: Exception) -> tuple[str, str] | None:
        """Return the reason and detail for a line that the decoder rejected, None if they need a closer look.

        All lines of an input may be invalid, and a closer look takes ten times as long.
        """
        if type(exc) is DecodeError:
            # `diagnose` knows more only of lone surrogates, which are escapes
            return None if BACKSLASH in line and b"\\u" in line else _malformed(str(exc))
        if not isinstance(exc, msgspec.ValidationError):
            return None
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(record, dict):
            return NOT_AN_OBJECT, not_an_object(record)
        for field, paths in zip(self._fields, self._paths, strict=True):
            if find_field(record, paths, as_mapping) is None:
                return MISSING_STREAM, missing_field(field)
        return None

    def _route_slowly(self, line: bytes, stream: Stream | None, exc: Exception) -> Stream:
        """Return the stream of a line that the decoder rejected (names may be fractions), or raise the error."""
        why = self._clear_fault(line, exc)
        if why is not None:
            reason, detail = why
            raise RecordError(detail, reason) from exc
        rejection = diagnose(line)
        if rejection is not None:
            raise rejection from exc
        if stream is None and isinstance(exc, msgspec.ValidationError):
            return self._selector.stream_of(_parse(line))
        raise RecordError(f"not JSON: {exc}", NOT_JSON) from exc

    def _encode(self, element: Any, stream: Stream | None) -> tuple[bytes, Stream]:
        fields = as_mapping(element)
        if fields is None:
            raise RecordError(f"{with_article(type(element).__name__)}, {record_fix(element)}", NOT_AN_OBJECT)
        try:
            stream = stream or self._selector.stream_of(fields)
        except (RecordError, MemoryError):
            raise
        except Exception as exc:  # of the mapping's own class
            raise unreadable(element, exc) from exc
        return encode_record(fields), stream


def _encode(stream: Stream, lines: list[bytes], encoder_of: Encoders, rejected: RejectedRecords) -> list[bytes]:
    """Return the encoded lines of a stream; lines that can't be encoded are added to the rejected ones."""
    rows = []
    for line in lines:
        try:
            rows.append(encoder_of(stream)(line))
        except RecordError as exc:
            rejected.append(RejectedRecord(stream, exc.reason, str(exc), line))
    return rows


def _parse(line: bytes) -> dict[str, Any]:
    """Return the object of a line; orjson would turn large integers into fractions, and reject larger ones."""
    try:
        return dict(json.loads(line, parse_int=whole_number))
    except (ValueError, RecursionError) as exc:
        raise RecordError(f"not JSON that can be read: {exc}", NOT_JSON) from exc


@functools.lru_cache(1_000)
def _malformed(text: str) -> tuple[str, str]:
    return NOT_JSON, f"not JSON: {text.removeprefix(_MALFORMED)}"


def _utf8_fault(text: bytes) -> str | None:
    """Return what makes a text invalid UTF-8, None for a valid one."""
    if not text.isascii():
        try:
            text.decode("utf-8")
        except UnicodeDecodeError as exc:
            return invalid_utf8(exc)
    return None


def _without_arrays(lines: Iterable[bytes], faults: dict[str | tuple[str, str], list[bytes]]) -> Iterator[bytes]:
    """Yield the lines that are not JSON arrays, and add the others to the faults, without an exception for each."""
    arrays = faults[NOT_AN_OBJECT, not_an_object([])]
    for line in lines:
        # an escape may be a lone surrogate
        if not line.startswith(b"[") or BACKSLASH in line:
            yield line
            continue
        try:
            _check_syntax(line)
        except _UNREADABLE:
            yield line  # the decoder of the fields says what is wrong
        else:
            arrays.append(line)


def _without_utf8_faults(lines: Iterable[bytes], faults: dict[str | tuple[str, str], list[bytes]]) -> Iterator[bytes]:
    """Yield the lines of valid UTF-8, and add the others to the faults."""
    for line in lines:
        fault = _utf8_fault(line)
        if fault is None:
            yield line
        else:
            faults[INVALID_UTF8, fault].append(line)
