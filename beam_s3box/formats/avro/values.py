"""Values of Avro's logical types: read from JSON, and written as Avro stores them or as text.

Redshift's COPY does not support logical types: it would load a timestamp as a number and a decimal as bytes. So each
has two forms: the number or bytes that Avro stores, and the text that COPY converts.
"""

from __future__ import annotations

import datetime
import decimal
import operator
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

_T = TypeVar("_T")

_EPOCH: Final = datetime.datetime(1970, 1, 1)
_EPOCH_DAY: Final = datetime.date(1970, 1, 1)
_MICROSECOND: Final = datetime.timedelta(microseconds=1)
_DAY_MICROSECONDS: Final = 86_400_000_000
_UUID_BYTES: Final = 16
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?", re.ASCII)
_JSON_TYPES: Final = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", type(None): "null"}


class UnfitError(Exception):
    """A value that does not fit its schema; the message has its path but not the value, as errors are logged."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.path: list[str] = []

    def __str__(self) -> str:
        where = "".join(reversed(self.path)).removeprefix(".")
        return f"{where}: {self.args[0]}" if where else str(self.args[0])

    def below(self, step: str) -> UnfitError:
        """Return this error with a field (`.name`) or item (`[3]`) added to the path."""
        self.path.append(step)
        return self


class Logical(NamedTuple):
    """A logical type.

    Attributes:
      read: returns the Python value of a JSON value. A number is what Avro stores.
      store: returns what Avro stores: an integer, bytes or text.
      text: returns the text that COPY converts.
      restore: returns the value of stored bytes, as in a default of a schema; None if a number is stored.
    """

    read: Callable[[Any], Any]
    store: Callable[[Any], Any]
    text: Callable[[Any], str]
    restore: Callable[[bytes], Any] | None = None


def kind_of(value: object) -> str:
    """Return the JSON type of a value, with its article."""
    name = _JSON_TYPES.get(type(value), "number with a fraction")
    return f"an {name}" if name[0] in "aio" else "null" if name == "null" else f"a {name}"


def unfit(value: object, wanted: str) -> UnfitError:
    """Return the error for a value of another type."""
    return UnfitError(f"{kind_of(value)}, not {wanted}")


def logical_of(node: Mapping[str, Any]) -> Logical | None:
    """Return the logical type of a schema; None if there is none or it is unknown."""
    made = _LOGICAL.get((node.get("logicalType", ""), node["type"]))
    return made(node) if made else None


def has_decimals(schema: Any) -> bool:
    """Return whether there is a decimal anywhere in a schema: then fractions must be read exactly."""
    if isinstance(schema, Mapping):
        return schema.get("logicalType") == "decimal" or any(map(has_decimals, schema.values()))
    return isinstance(schema, list) and any(map(has_decimals, schema))


def _date(node: Mapping[str, Any]) -> Logical:
    def read(value: Any) -> int:
        if type(value) is int:
            return value
        return (_parsed(datetime.date.fromisoformat, value, "a date, as 2026-11-22") - _EPOCH_DAY).days

    return Logical(read, int, lambda days: _shown(_EPOCH_DAY, datetime.timedelta(days=1), days).isoformat())


def _time(unit: int) -> Callable[[Mapping[str, Any]], Logical]:
    """Return the factory of a time of day, stored in units of `unit` microseconds."""

    def read(value: Any) -> int:
        if type(value) is int:
            micros = value * unit
        else:
            time = _parsed(datetime.time.fromisoformat, value, "a time, as 10:15:00.5")
            if time.tzinfo is not None:
                raise UnfitError("a time with a zone, which Avro's times do not have")
            micros = (datetime.datetime.combine(_EPOCH_DAY, time) - _EPOCH) // _MICROSECOND
        if not 0 <= micros < _DAY_MICROSECONDS:
            raise UnfitError("a number that is no time of a day")
        return micros

    def text(micros: int) -> str:
        return (_EPOCH + micros * _MICROSECOND).time().isoformat()

    return lambda node: Logical(read, lambda micros: micros // unit, text)


def _timestamp(unit: int) -> Callable[[Mapping[str, Any]], Logical]:
    """Return the factory of a timestamp, stored in units of `unit` microseconds; without a zone it is UTC."""

    def read(value: Any) -> int:
        if type(value) is int:
            return value * unit
        moment = _parsed(datetime.datetime.fromisoformat, value, "a date and time, as 2026-11-22T10:15:00Z")
        offset = moment.utcoffset() or datetime.timedelta()
        return (moment.replace(tzinfo=None) - _EPOCH - offset) // _MICROSECOND

    return lambda node: Logical(read, lambda micros: micros // unit, lambda micros: _moment_text(micros) + "Z")


def _local_timestamp(unit: int) -> Callable[[Mapping[str, Any]], Logical]:
    """Return the factory of a local timestamp; `Z` is ignored, because datetimes without a zone are written with it."""

    def read(value: Any) -> int:
        if type(value) is int:
            return value * unit
        moment = _parsed(datetime.datetime.fromisoformat, value, "a date and time, as 2026-11-22T10:15:00")
        if moment.utcoffset():
            raise UnfitError("a time with a zone, and the type is a local time")
        return (moment.replace(tzinfo=None) - _EPOCH) // _MICROSECOND

    return lambda node: Logical(read, lambda micros: micros // unit, _moment_text)


def _decimal(node: Mapping[str, Any]) -> Logical:
    precision, scale = node["precision"], node.get("scale", 0)
    context = decimal.Context(prec=precision, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, traps=[
        decimal.Inexact, decimal.InvalidOperation, decimal.Overflow,
    ])  # fmt: skip
    one = decimal.Decimal((0, (1,), -scale))

    def read(value: Any) -> decimal.Decimal:
        try:
            # the traps: more digits than the precision, and a fraction that the scale would round
            return _exact_number(value).quantize(one, context=context)
        except decimal.DecimalException as exc:
            raise UnfitError(f"a number that does not fit decimal({precision}, {scale})") from exc

    def store(value: decimal.Decimal) -> bytes:
        unscaled = int(value.scaleb(scale, context=context))
        size = node.get("size", (unscaled if unscaled >= 0 else ~unscaled).bit_length() // 8 + 1)
        return unscaled.to_bytes(size, "big", signed=True)

    def restore(stored: bytes) -> decimal.Decimal:
        return read(decimal.Decimal(f"{int.from_bytes(stored, 'big', signed=True)}e-{scale}"))

    return Logical(read, store, lambda value: format(value, "f"), restore)


def _exact_number(value: Any) -> decimal.Decimal:
    if type(value) is int or isinstance(value, decimal.Decimal):
        return decimal.Decimal(value)
    if type(value) is str and _NUMBER.fullmatch(value):
        return decimal.Decimal(value)
    raise unfit(value, "a number")


def _read_uuid(value: Any) -> uuid.UUID:
    return _parsed(uuid.UUID, value, "a UUID")


def _uuid_text(node: Mapping[str, Any]) -> Logical:
    return Logical(_read_uuid, str, str)


def _uuid_bytes(node: Mapping[str, Any]) -> Logical | None:
    if node["size"] != _UUID_BYTES:
        return None
    return Logical(_read_uuid, operator.attrgetter("bytes"), str, lambda stored: uuid.UUID(bytes=stored))


def _parsed(parse: Callable[[str], _T], value: Any, wanted: str) -> _T:
    if type(value) is not str:
        raise unfit(value, wanted)
    try:
        return parse(value)
    except ValueError as exc:
        raise UnfitError(f"text that is not {wanted}") from exc


def _moment_text(micros: int) -> str:
    return str(_shown(_EPOCH, _MICROSECOND, micros).isoformat())


def _shown(epoch: Any, unit: datetime.timedelta, number: int) -> Any:
    try:
        return epoch + number * unit
    except OverflowError as exc:
        raise UnfitError("a number that is no date of the years 1 to 9999") from exc


_LOGICAL: Final[dict[tuple[str, str], Callable[[Mapping[str, Any]], Logical | None]]] = {
    ("date", "int"): _date,
    ("time-millis", "int"): _time(1000),
    ("time-micros", "long"): _time(1),
    ("timestamp-millis", "long"): _timestamp(1000),
    ("timestamp-micros", "long"): _timestamp(1),
    ("local-timestamp-millis", "long"): _local_timestamp(1000),
    ("local-timestamp-micros", "long"): _local_timestamp(1),
    ("decimal", "bytes"): _decimal,
    ("decimal", "fixed"): _decimal,
    ("uuid", "string"): _uuid_text,
    ("uuid", "fixed"): _uuid_bytes,
}
