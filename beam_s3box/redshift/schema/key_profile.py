"""The values of one key of the records, summed up in any order and in parts, and the type of their column."""

from __future__ import annotations

import datetime
import decimal
import math
import re
from typing import Any, Final

import msgspec

from beam_s3box.records.encoding import encode_record
from beam_s3box.records.json_values import decimal_text
from beam_s3box.redshift.sql.columns import ANYTHING
from beam_s3box.redshift.sql.types import MAX_DIGITS, MAX_VARCHAR_BYTES, SqlType

VARCHAR_STEPS: Final = (256, 1_024, 4_096, 16_384, MAX_VARCHAR_BYTES)
"""Lengths of texts: the first with room for twice the longest, as later records may have longer ones."""

DECIMAL_SCALES: Final = (4, 10, 18, 37)
"""Digits after the point: the first with room for those that were seen, as COPY truncates others."""

_BOOL, _INT, _FLOAT, _DECIMAL, _DATE, _TIMESTAMP, _TIMESTAMPTZ, _TEXT, _NESTED = (1 << bit for bit in range(9))
_TEMPORAL = _DATE | _TIMESTAMP | _TIMESTAMPTZ
_DATE_TEXT = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME_TEXT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(Z|[+-](?:0\d|1[0-4]):[0-5]\d)?", re.ASCII)
_INT16, _INT32, _INT64 = 1 << 15, 1 << 31, 1 << 63
_FIFTEEN_DIGITS = 10**15
FLOAT_BYTES: Final = 32
"""Characters of a fraction, at most, unless it is a `LongFraction`."""

_DIGITS_A_BIT = math.log10(2)


class LongFraction(float):
    """A fraction in more characters than a float is written with.

    Attributes:
      size: the number of characters.
    """

    size: int = 0


class KeyProfile:
    """The values of one key, summed up. `add` and `merge` may be called in any order."""

    __slots__ = ("_bytes", "_digits", "_kinds", "_least", "_most", "_scale")

    def __init__(self) -> None:
        self._kinds = 0
        self._least = self._most = 0
        self._digits = self._scale = 0
        self._bytes = 0

    def add(self, value: Any) -> None:
        """Add a value, as it is before it is written as JSON or after."""
        kind = type(value)
        if value is None:
            return
        if kind is str:
            self._add_text(value)
        elif kind is bool:
            self._kinds |= _BOOL
        elif kind is int:
            self._kinds |= _INT
            if value > self._most:
                self._most = value
            elif value < self._least:
                self._least = value
        elif kind is float:
            self._kinds |= _FLOAT if math.isfinite(value) else 0  # others are written as null
        elif kind is LongFraction:
            self._kinds |= _FLOAT
            self._bytes = max(self._bytes, value.size)
        elif kind is dict or kind is list:
            self._kinds |= _NESTED
        elif kind is decimal.Decimal:
            self._add_decimal(value)
        else:
            self.add(msgspec.json.decode(encode_record({"value": value}))["value"])

    def merge(self, other: KeyProfile) -> None:
        """Add all that another profile has."""
        self._kinds |= other._kinds
        self._least, self._most = min(self._least, other._least), max(self._most, other._most)
        self._digits, self._scale = max(self._digits, other._digits), max(self._scale, other._scale)
        self._bytes = max(self._bytes, other._bytes)

    @property
    def type(self) -> str:
        """The type for the column, with room for longer values."""
        return str(self._type(has_room=True))

    @property
    def min_type(self) -> str:
        """The smallest type that holds all values."""
        return str(self._type(has_room=False)) if self._kinds else ANYTHING

    def _add_text(self, value: str) -> None:
        size = len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
        if size > self._bytes:
            self._bytes = size
        if not self._kinds & _TEXT:  # then no later one makes it a time again
            self._kinds |= _kind_of(value)

    def _add_decimal(self, value: decimal.Decimal) -> None:
        if not value.is_finite():  # written as null
            return
        self._kinds |= _DECIMAL
        self._bytes = max(self._bytes, len(decimal_text(value)))
        _, digits, exponent = value.as_tuple()
        scale = max(0, -int(exponent))
        self._scale = max(self._scale, scale)
        self._digits = max(self._digits, len(digits) + int(exponent))

    def _type(self, *, has_room: bool) -> SqlType:
        kinds = self._kinds
        is_text, is_number = bool(kinds & (_TEXT | _TEMPORAL)), bool(kinds & (_INT | _FLOAT))
        if kinds & _NESTED or is_text + is_number + bool(kinds & _BOOL) > 1:
            return SqlType("SUPER")
        if kinds & _DECIMAL and kinds & _BOOL:
            return SqlType("SUPER")
        if kinds == _BOOL:
            return SqlType("BOOLEAN")
        for kind, name in ((_DATE, "DATE"), (_TIMESTAMP, "TIMESTAMP"), (_TIMESTAMPTZ, "TIMESTAMPTZ")):
            if kinds == kind:
                return SqlType(name)
        return self._varchar(has_room) if is_text or not kinds else self._number(has_room)

    def _number(self, has_room: bool) -> SqlType:
        """Return the number type that loses no digit, or a text type if no number type does."""
        least, most = self._least, self._most
        if self._kinds & _FLOAT:
            # a DOUBLE PRECISION holds every number of 15 digits, and not every one of 16
            is_exact = max(-least, most) < _FIFTEEN_DIGITS and not self._kinds & _DECIMAL
            return SqlType("DOUBLE PRECISION") if is_exact else self._varchar(has_room)
        if not self._kinds & _DECIMAL and max(~least, most) < _INT64:
            return SqlType("BIGINT") if has_room else _smallest_integer(least, most)
        digits = max(self._digits, _digits_of(least), _digits_of(most), 0)
        if digits + self._scale > MAX_DIGITS or self._scale >= MAX_DIGITS:
            return self._varchar(has_room)
        if not has_room:
            return SqlType("DECIMAL", (max(1, digits + self._scale), self._scale))
        scale = next((step for step in DECIMAL_SCALES if self._scale <= step <= MAX_DIGITS - digits), self._scale)
        return SqlType("DECIMAL", (MAX_DIGITS, scale if self._kinds & _DECIMAL else 0))

    def _varchar(self, has_room: bool) -> SqlType:
        size = self._bytes
        if self._kinds & _INT:
            size = max(size, _digits_of(self._least) + 1, _digits_of(self._most) + 1)
        if self._kinds & _FLOAT:
            size = max(size, FLOAT_BYTES)
        if not has_room:
            return SqlType("VARCHAR", (min(max(1, size), MAX_VARCHAR_BYTES),))
        return SqlType("VARCHAR", (next((step for step in VARCHAR_STEPS if step >= 2 * size), MAX_VARCHAR_BYTES),))


def _kind_of(text: str) -> int:
    """Return whether COPY's 'auto' reads a text as a date, as a time with or without zone, or as neither."""
    try:
        if _DATE_TEXT.fullmatch(text):
            datetime.date.fromisoformat(text)
            return _DATE
        if found := _TIME_TEXT.fullmatch(text):
            datetime.datetime.fromisoformat(text)
            return _TIMESTAMPTZ if found[1] else _TIMESTAMP
    except ValueError:  # such as 2026-02-30
        pass
    return _TEXT


def _smallest_integer(least: int, most: int) -> SqlType:
    for name, bound in (("SMALLINT", _INT16), ("INTEGER", _INT32)):
        if max(~least, most) < bound:
            return SqlType(name)
    if max(-least, most) < _FIFTEEN_DIGITS:
        return SqlType("DECIMAL", (15, 0))  # a DOUBLE PRECISION holds it too
    return SqlType("BIGINT")


def _digits_of(number: int) -> int:
    """Return the number of digits of a whole number; approximately if no type holds it."""
    size = abs(number)
    return len(str(size)) if size < 10**MAX_DIGITS else int(size.bit_length() * _DIGITS_A_BIT) + 1
