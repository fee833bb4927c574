"""Converts a value of a document for a column, with Redshift's rules and error reasons."""

from __future__ import annotations

import dataclasses
import decimal
import re
from typing import Any

from redshift_stand_in.copy_options import CopyCommand
from redshift_stand_in.errors import RowError
from redshift_stand_in.strings import read_string
from redshift_stand_in.times import read_date, read_timestamp
from redshift_stand_in.values import MAX_SUPER, Number, as_json, check_super

_TYPE = re.compile(r"([a-z ]+?)(?:\((\d+)(?:,(\d+))?\))?( with(?:out)? time zone)?")
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_REAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_BITS = {"smallint": 16, "integer": 32, "bigint": 64}
_TRUE = ("t", "true", "y", "yes", "1")
_FALSE = ("f", "false", "n", "no", "0")
_MAX_REAL = 3.40282346638528859812e38


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of the table that is loaded.

    Attributes:
      name: as stored.
      type: the server's name without its lengths.
      size: bytes of text, or digits of a number.
      scale: digits after the point.
      not_null: whether NULL makes a row fail.
    """

    name: str
    type: str
    size: int = 0
    scale: int = 0
    not_null: bool = False

    @classmethod
    def of(cls, name: str, type_name: str, not_null: bool) -> Column:
        """Read the server's name of a type, such as `character varying(10)`."""
        found = _TYPE.fullmatch(type_name)
        if found is None:
            return cls(name, type_name, not_null=not_null)
        kind = found.group(1) + (found.group(4) or "")
        return cls(name, kind, int(found.group(2) or 0), int(found.group(3) or 0), not_null)


def convert(value: Any, column: Column, command: CopyCommand) -> str | None:
    """Return a value for the server, None for NULL; raises RowError if the column can't hold it."""
    found = None if value is None else _convert(value, column, command)
    if found is None and column.not_null:
        raise RowError(1213, "Missing data for not-null field", column.name)
    return found


def _convert(value: Any, column: Column, command: CopyCommand) -> str | None:
    kind = column.type
    if kind == "super":
        return _super(value, column)
    text = as_json(value) if isinstance(value, (dict, list, bool)) else str(value)
    if kind in ("character varying", "character"):
        return read_string(text, column.name, column.size, kind == "character", command)
    # an empty or blank field is NULL in a column that is not a text
    if not text.strip():
        return None
    if kind in _BITS:
        return _integer(text, column)
    if kind == "numeric":
        return _decimal(text, column, "ROUNDEC" in command.flags)
    if kind in ("real", "double precision"):
        return _real(text, column)
    if kind == "boolean":
        return _boolean(text, column)
    return _time(text, column, command)


def _super(value: Any, column: Column) -> str:
    check_super(value, column.name)
    text = as_json(value)
    if len(text.encode(errors="surrogatepass")) > MAX_SUPER:
        raise RowError(1224, f"SUPER value exceeds the max size of {MAX_SUPER} bytes", column.name)
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise RowError(1220, "String contains invalid or unsupported UTF8 codepoints.", column.name) from exc
    return text


def _integer(text: str, column: Column) -> str:
    stripped = text.strip()
    if _INTEGER.fullmatch(stripped) is None:
        position = next((index for index, char in enumerate(text) if not char.isdigit()), 0)
        reason = f"Invalid digit, Value '{text[position]}', Pos {position}, Type: {_TITLES[column.type]}"
        raise RowError(1207, reason, column.name, text, position)
    if not -(1 << (_BITS[column.type] - 1)) <= int(stripped) < 1 << (_BITS[column.type] - 1):
        reason = f"Overflow ({_TITLES[column.type]} has {_BITS[column.type]} bits)"
        raise RowError(1207, reason, column.name, text)
    return str(int(stripped))


_TITLES = {"smallint": "Short", "integer": "Integer", "bigint": "Long"}


def _decimal(text: str, column: Column, rounded: bool) -> str:
    stripped = text.strip()
    if _REAL.fullmatch(stripped) is None:
        raise RowError(1207, f"Invalid digit, Value '{text[:1]}', Pos 0, Type: Decimal", column.name, text)
    rounding = decimal.ROUND_HALF_UP if rounded else decimal.ROUND_DOWN
    context = decimal.Context(prec=column.size, rounding=rounding, traps=[decimal.InvalidOperation])
    try:
        found = decimal.Decimal(stripped).quantize(decimal.Decimal(1).scaleb(-column.scale), context=context)
    except decimal.InvalidOperation as exc:
        raise RowError(1224, "Numeric data overflow", column.name, text) from exc
    return str(found)


def _real(text: str, column: Column) -> str:
    stripped = text.strip()
    if _REAL.fullmatch(stripped) is None:
        raise RowError(1207, f"Invalid digit, Value '{text[:1]}', Pos 0, Type: Double", column.name, text)
    number = float(stripped)
    most = _MAX_REAL if column.type == "real" else float("inf")
    if abs(number) == float("inf") or abs(number) > most:
        raise RowError(1224, "Overflow for a floating-point column", column.name, text)
    return repr(number)


def _boolean(text: str, column: Column) -> str:
    word = text.strip().lower()
    if word in _TRUE:
        return "t"
    if word in _FALSE:
        return "f"
    raise RowError(1210, "Invalid boolean value", column.name, text)


def _time(text: str, column: Column, command: CopyCommand) -> str | None:
    if column.type == "date":
        found = read_date(text, command.date_format)
        code, reason = 1205, f"Invalid Date Format - length must be 10 or more [{command.date_format or 'YYYY-MM-DD'}]"
    elif column.type.startswith("timestamp "):
        zoned = column.type == "timestamp with time zone"
        found = read_timestamp(text, command.time_format, zoned)
        code, reason = 1206, f"Invalid timestamp format or value [{command.time_format or 'YYYY-MM-DD HH24:MI:SS'}]"
    else:
        raise RowError(1216, f"Columns of type {column.type} can't be loaded from {command.format}", column.name, text)
    if found is None and "ACCEPTANYDATE" not in command.flags:
        raise RowError(code, reason, column.name, text)
    return found


__all__ = ["Column", "Number", "convert"]
