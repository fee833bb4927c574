"""Encodes records as lines of JSON.

A record is a JSON object: a dict, a dataclass, a NamedTuple, a Beam row, or JSON text. `encode_record` describes how
Python values are written that JSON does not have.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from beam_s3box.checks import check_whole
from beam_s3box.errors import RecordError
from beam_s3box.records.json_values import as_mapping, json_default, plain_tree
from beam_s3box.records.long_values import MAX_TEXT_BYTES, LongText, LongValues, check_long_values, cut, long_texts

NOT_JSON: Final = "not-json"
NOT_AN_OBJECT: Final = "not-an-object"
INVALID_UTF8: Final = "invalid-utf8"
LONE_SURROGATE: Final = "lone-surrogate"
NUL_CHARACTER: Final = "nul-character"
UNSUPPORTED_VALUE: Final = "unsupported-value"
MISSING_STREAM: Final = "missing-stream"
BAD_STREAM: Final = "bad-stream"
MISSING_TIMESTAMP: Final = "missing-timestamp"
BAD_TIMESTAMP: Final = "bad-timestamp"
TOO_LARGE: Final = "too-large"
VALUE_TOO_LONG: Final = "value-too-long"
SCHEMA_MISMATCH: Final = "schema-mismatch"
CSV_ROW_LENGTH: Final = "csv-row-length"
NOT_AN_EVENT: Final = "not-an-event"
UNREADABLE_FILE: Final = "unreadable-file"
OBJECT_GONE: Final = "object-gone"
OBJECT_REPLACED: Final = "object-replaced"
MAP_FAILED: Final = "map-failed"

REASONS: Final = (
    NOT_JSON,
    NOT_AN_OBJECT,
    INVALID_UTF8,
    LONE_SURROGATE,
    NUL_CHARACTER,
    UNSUPPORTED_VALUE,
    MISSING_STREAM,
    BAD_STREAM,
    MISSING_TIMESTAMP,
    BAD_TIMESTAMP,
    TOO_LARGE,
    VALUE_TOO_LONG,
    SCHEMA_MISMATCH,
    CSV_ROW_LENGTH,
    NOT_AN_EVENT,
    UNREADABLE_FILE,
    OBJECT_GONE,
    OBJECT_REPLACED,
    MAP_FAILED,
)
"""Why a record becomes a dead letter."""

REDSHIFT_MAX_RECORD_BYTES: Final = 4_000_000
"""COPY accepts rows of up to 4 MB and counts `|` twice; its documentation does not define MB: 10**6 or 2**20."""

JSON_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
"""Options of `orjson.dumps`, with `json_default`, for values that it would write differently."""

LINE_OPTIONS: Final = JSON_OPTIONS | orjson.OPT_APPEND_NEWLINE
"""For a line that is kept: without its line break it is a copy, and what orjson returns takes 4 KB, however short."""

BACKSLASH: Final = ord("\\")
"""Searching for one byte by its number takes a sixth of the time of searching for a bytes object."""

_LINE_FEED: Final = ord("\n")
_CARRIAGE_RETURN: Final = ord("\r")
_LINE_BREAKS = re.compile(rb"[\r\n]")
_TEXT_OR_LINE_BREAK = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\r\n]', re.DOTALL)
_NUL_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class RecordRules(NamedTuple):
    r"""The rules that make a JSON object an invalid record.

    Attributes:
      max_bytes: maximum bytes of the line, with `|` counted twice; None for no limit.
      forbid_nul: whether NUL characters (`\u0000`) are rejected, which Redshift can't store.
      long_values: what happens to texts that are too long for Redshift, see `beam_s3box.records.long_values`.
    """

    max_bytes: int | None
    forbid_nul: bool
    long_values: LongValues = "keep"

    @property
    def harmless_bytes(self) -> int:
        """The length up to which a line without a backslash violates no rule."""
        most = sys.maxsize if self.max_bytes is None else self.max_bytes // 2
        return most if self.long_values == "keep" else min(most, MAX_TEXT_BYTES)

    def check(self, line: bytes) -> bytes:
        """Return a line of valid JSON as it is stored, or raise RecordError if it violates a rule."""
        if self.long_values == "truncate" and len(line) > MAX_TEXT_BYTES:
            line = _without_long_texts(line)
        if self.max_bytes is not None and 2 * len(line) > self.max_bytes:
            size = len(line) + line.count(b"|")
            if size > self.max_bytes:
                raise RecordError(
                    f"{size} bytes ('|' counted twice), more than max_record_bytes={self.max_bytes}", TOO_LARGE
                )
        if self.forbid_nul and b"\\u0000" in line and _NUL_ESCAPE.search(line):
            raise RecordError("has a NUL character (\\u0000), which Redshift can't store", NUL_CHARACTER)
        if self.long_values == "reject" and len(line) > MAX_TEXT_BYTES:
            for long in long_texts(line):
                raise _too_long(long)
        return line

    def might_violate(self, lines: list[bytes], text: bytes) -> bool:
        """Return whether a line might violate a rule, given all lines joined. Cheap; false positives are possible."""
        if self.might_have_nul(text):
            return True
        most = self.harmless_bytes
        return len(text) > most and max(map(len, lines)) > most

    def might_have_nul(self, text: bytes) -> bool:
        """Return whether a text might have a NUL character that is forbidden. Cheap; false positives are possible."""
        # few records have a backslash, and searching for one byte is ten times as fast as for six
        return self.forbid_nul and BACKSLASH in text and b"\\u0000" in text


def record_rules(
    *, for_redshift: bool, max_record_bytes: int | None = None, long_values: LongValues = "reject"
) -> RecordRules:
    """Return the rules that make a record invalid.

    Args:
      for_redshift: whether COPY will load the records. Then NUL characters are rejected, and by default records and
        texts that are too large for COPY.
      max_record_bytes: maximum bytes, with `|` counted twice; None for COPY's limit, or no limit without COPY.
      long_values: whether a record with a text of more than 65,535 bytes is rejected, or the text is truncated at the
        end of a character (`"truncate"`), or kept; ignored without COPY.

    Raises:
      ConfigurationError: not a number of bytes, or not one of the choices.
    """
    check_long_values(long_values)
    kept: LongValues = long_values if for_redshift else "keep"
    if max_record_bytes is None:
        return RecordRules(REDSHIFT_MAX_RECORD_BYTES if for_redshift else None, for_redshift, kept)
    return RecordRules(check_whole("max_record_bytes", max_record_bytes, 2, hint=" bytes"), for_redshift, kept)


def _without_long_texts(line: bytes) -> bytes:
    found = list(long_texts(line))
    for long in found:
        if long.is_key:  # two truncated names could become equal
            raise _too_long(long)
    return cut(line, found) if found else line


def _too_long(long: LongText) -> RecordError:
    what = "the name of a field" if long.is_key else f'the text of "{long.name}"' if long.name else "a text"
    return RecordError(
        f"{what} has {len(long.text)} bytes, and Redshift stores at most {MAX_TEXT_BYTES}: shorten it, or set "
        "long_values",
        VALUE_TOO_LONG,
    )


def encode_record(record: Mapping[str, Any]) -> bytes:
    """Return the record as one line of JSON text, without a line break.

    datetime: ISO 8601 in UTC with `Z` and at most 6 digits (naive ones are treated as UTC); date, time: ISO 8601;
    timedelta: ISO 8601, such as `P1DT2.5S`; Decimal: its exact text, see `decimal_text`; UUID: text; Enum: its value;
    bytes: hexadecimal; numpy scalars and arrays: as numbers; tuple: array; dataclass, NamedTuple, Beam row and those of
    `foreign_fields`: object; NaN and infinities: null; integers of any size.

    Raises:
      RecordError: a value of another type or one that can't be read, or text with a lone surrogate.
    """
    try:
        return orjson.dumps(record, json_default, LINE_OPTIONS)[:-1]
    except TypeError as exc:
        return _encode_slowly(record, exc)


def to_single_line(text: str | bytes) -> bytes:
    """Return JSON text as one line: unchanged if it is one already, otherwise with spaces for line breaks.

    JSON allows raw line breaks between tokens only, so no value changes.

    Raises:
      RecordError: the text can't be encoded as UTF-8, or has a line break within a value.
    """
    if isinstance(text, str):
        try:
            text = text.encode("utf-8")
        except UnicodeEncodeError as exc:
            raise RecordError(f"the text has a lone surrogate: {exc}", LONE_SURROGATE) from exc
    if _LINE_FEED in text or _CARRIAGE_RETURN in text:
        return _TEXT_OR_LINE_BREAK.sub(_without_line_break, text.rstrip(b"\r\n"))
    return text


def diagnose(line: bytes) -> RecordError | None:
    """Return why a line is not a valid JSON object, or None if it is one."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as exc:
        return RecordError(invalid_utf8(exc), INVALID_UTF8)
    found: list[Any] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found.extend(pairs)  # also those that a duplicate key hides
        return {}

    try:
        # whole numbers as floats: JSON has no limit of digits, and Python's integers have
        value = json.loads(text, parse_int=float, parse_constant=_refuse_constant, object_pairs_hook=collect)
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return RecordError("has a lone surrogate, which UTF-8 can't express", LONE_SURROGATE)
    except (ValueError, RecursionError) as exc:
        return RecordError(f"not JSON: {exc}", NOT_JSON)
    return None if isinstance(value, dict) else RecordError(not_an_object(value), NOT_AN_OBJECT)


def invalid_utf8(error: UnicodeDecodeError) -> str:
    """Return what makes a text invalid UTF-8."""
    return f"not valid UTF-8: {error.reason} at byte {error.start}"


def original_bytes(record: Any) -> bytes:
    """Return bytes that preserve a rejected record: its own bytes, its JSON text, or its repr.

    A value that has no JSON form is its repr within the JSON of its record, so that all others can be read back.
    """
    if isinstance(record, bytes):
        return record
    if isinstance(record, str):
        return record.encode("utf-8", "backslashreplace")
    with contextlib.suppress(RecordError):
        fields = as_mapping(record)
        if fields is not None:
            return encode_record(fields)
    with contextlib.suppress(Exception):  # of the user's classes, or too deep: then all of it is its repr
        fields = as_mapping(record)
        if fields is not None or isinstance(record, list):
            # a lone surrogate stays an escape
            return json.dumps(
                record if fields is None else dict(fields), default=_json_or_repr, allow_nan=False
            ).encode("ascii")
    try:
        text = repr(record)
    except Exception as exc:  # noqa: BLE001 - the user's class, or too deep or long: the dead letter still says what it was
        text = f"<{type(record).__name__} whose repr raised {type(exc).__name__}>"
    return text.encode("utf-8", "backslashreplace")


def _json_or_repr(value: Any) -> Any:
    with contextlib.suppress(Exception):  # of the user's classes
        return json_default(value)
    return repr(value)


def _without_line_break(token: re.Match[bytes]) -> bytes:
    text = token[0]
    if text[:1] != b'"':
        return b" "
    if _LINE_BREAKS.search(text):
        raise RecordError("not JSON: a line break within a text", NOT_JSON)
    return text


def _encode_slowly(record: Mapping[str, Any], first: TypeError) -> bytes:
    """Encode what orjson can't: integers over 64 bits and keys that are not text; or raise what is wrong."""
    try:
        plain = plain_tree(record)
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")
    except UnicodeEncodeError as exc:
        raise RecordError(f"has a lone surrogate, which UTF-8 can't express: {exc.reason}", LONE_SURROGATE) from exc
    except RecordError:
        raise
    except (TypeError, ValueError, RecursionError) as exc:
        raise RecordError(f"can't be written as JSON: {exc or first}", UNSUPPORTED_VALUE) from exc
    except MemoryError:
        raise
    except Exception as exc:  # of a class that the record has values of, as a time zone
        raise RecordError(f"can't be written as JSON: {type(exc).__name__}: {exc}", UNSUPPORTED_VALUE) from exc


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def not_an_object(value: object) -> str:
    """Return what is wrong with a JSON value that is no object."""
    names = {list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
    return f"a JSON {names.get(type(value), 'null')}, not an object"
