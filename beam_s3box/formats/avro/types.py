"""The types of Avro: each checks a JSON value and appends its encoding."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias

from beam_s3box.formats.avro.values import UnfitError, unfit

WriteValue: TypeAlias = Callable[[Any, bytearray], None]
"""Appends the encoding of a JSON value, or raises UnfitError."""

ReadBytes: TypeAlias = Callable[[Any], bytes]

_SMALL: Final = 1024
SHOWN_CHARACTERS: Final = 64
"""Characters of a name in an error."""


def long_bytes(number: int) -> bytes:
    """Return the encoding of a 64-bit integer: zigzag, in groups of seven bits."""
    number = number << 1 if number >= 0 else ~(number << 1)
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


_SMALL_LONGS: Final = [long_bytes(number) for number in range(_SMALL)]


def of_hexadecimal(value: Any) -> bytes:
    """Return the bytes of a value in a record, as `encode_record` writes them."""
    if type(value) is not str:
        raise unfit(value, "bytes as hexadecimal text")
    try:
        return binascii.unhexlify(value)
    except ValueError as exc:
        raise UnfitError("text that is not hexadecimal, as bytes are written") from exc


def of_latin1(value: Any) -> bytes:
    """Return the bytes of a default in a schema: one for each character."""
    if type(value) is not str:
        raise unfit(value, "bytes as text")
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError as exc:
        raise UnfitError("text with a character that is no byte") from exc


def converted(convert: Callable[[Any], Any], write: WriteValue) -> WriteValue:
    """Return the function that converts values and writes the results."""
    return lambda value, out: write(convert(value), out)


def _length(raw: bytes) -> bytes:
    length = len(raw)
    return _SMALL_LONGS[length] if length < _SMALL else long_bytes(length)


def write_nullable(null: bytes, index: bytes, write_other: WriteValue) -> WriteValue:
    """Return the function that writes a union of null and one type, given their encoded indexes."""

    def write(value: Any, out: bytearray) -> None:
        if value is None:
            out += null
        else:
            out += index
            write_other(value, out)

    return write


def _write_integer(name: str, least: int, beyond: int) -> WriteValue:
    def write(value: Any, out: bytearray) -> None:
        if type(value) is not int:
            raise unfit(value, f"an integer ({name})")
        if not least <= value < beyond:
            raise UnfitError(f"an integer beyond the range of {name}")
        out += _SMALL_LONGS[value] if 0 <= value < _SMALL else long_bytes(value)

    return write


def _write_float(name: str, pack: Callable[[float], bytes]) -> WriteValue:
    def write(value: Any, out: bytearray) -> None:
        if type(value) is not float and type(value) is not int and type(value) is not Decimal:
            raise unfit(value, f"a number ({name})")
        try:
            out += pack(float(value))
        except OverflowError as exc:
            raise UnfitError(f"a number beyond the range of {name}") from exc

    return write


def _write_null(value: Any, out: bytearray) -> None:
    if value is not None:
        raise unfit(value, "null")


def _write_boolean(value: Any, out: bytearray) -> None:
    if type(value) is not bool:
        raise unfit(value, "true or false")
    out.append(value)


def write_string(value: Any, out: bytearray) -> None:
    """Append a string."""
    if type(value) is not str:
        raise unfit(value, "a string")
    raw = value.encode("utf-8")
    out += _length(raw)
    out += raw


def _store_bytes(raw: bytes, out: bytearray) -> None:
    out += _length(raw)
    out += raw


def _store_fixed(raw: bytes, out: bytearray) -> None:
    out += raw


def write_bytes(read_bytes: ReadBytes) -> WriteValue:
    """Return the function that writes bytes."""
    return converted(read_bytes, _store_bytes)


def write_fixed(size: int, read_bytes: ReadBytes) -> WriteValue:
    """Return the function that writes exactly `size` bytes."""

    def write(value: Any, out: bytearray) -> None:
        raw = read_bytes(value)
        if len(raw) != size:
            raise UnfitError(f"{len(raw)} bytes, not {size}")
        out += raw

    return write


def write_enum(symbols: Sequence[str]) -> WriteValue:
    """Return the function that writes a symbol."""
    indexes = {symbol: long_bytes(index) for index, symbol in enumerate(symbols)}

    def write(value: Any, out: bytearray) -> None:
        if type(value) is not str:
            raise unfit(value, "the text of a symbol")
        if value not in indexes:
            raise UnfitError("text that is none of the enum's symbols")
        out += indexes[value]

    return write


def write_array(write_item: WriteValue) -> WriteValue:
    """Return the function that writes arrays."""

    def write(value: Any, out: bytearray) -> None:
        if type(value) is not list:
            raise unfit(value, "an array")
        if value:
            out += long_bytes(len(value))
        for index, item in enumerate(value):
            try:
                write_item(item, out)
            except UnfitError as exc:
                exc.below(f"[{index}]")
                raise
        out.append(0)

    return write


def write_map(write_item: WriteValue) -> WriteValue:
    """Return the function that writes objects with any keys."""

    def write(value: Any, out: bytearray) -> None:
        if type(value) is not dict:
            raise unfit(value, "an object")
        if value:
            out += long_bytes(len(value))
        for key, item in value.items():
            write_string(key, out)
            try:
                write_item(item, out)
            except UnfitError as exc:
                exc.below(f".{key[:SHOWN_CHARACTERS]}")
                raise
        out.append(0)

    return write


PRIMITIVES: Final[dict[str, WriteValue]] = {
    "null": _write_null,
    "boolean": _write_boolean,
    "int": _write_integer("int", -(2**31), 2**31),
    "long": _write_integer("long", -(2**63), 2**63),
    "float": _write_float("float", struct.Struct("<f").pack),
    "double": _write_float("double", struct.Struct("<d").pack),
    "string": write_string,
}

STORED: Final[dict[str, WriteValue]] = {**PRIMITIVES, "bytes": _store_bytes, "fixed": _store_fixed}
"""The functions that write the stored form of a logical type."""
