"""Records that the Kinesis Producer Library (KPL) has packed into one.

Four magic bytes, then Protobuf, then the MD5 of that: `AggregatedRecord` with a table of partition keys (field 1), one
of hash keys (2), and records (3), each with the number of its partition key (1) and its data (3). Only these fields are
read, so no generated code is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

MAGIC: Final = b"\xf3\x89\x9a\xc2"

_DIGEST_BYTES: Final = 16
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


def unpacked(data: bytes) -> list[tuple[str, bytes]] | None:
    """Return the partition keys and data of the records in one; None if it is not packed, or its digest says otherwise.

    Args:
      data: of a record of the stream.
    """
    if not data.startswith(MAGIC) or len(data) < len(MAGIC) + _DIGEST_BYTES:
        return None
    message = data[len(MAGIC) : -_DIGEST_BYTES]
    if hashlib.md5(message, usedforsecurity=False).digest() != data[-_DIGEST_BYTES:]:
        return None
    keys: list[str] = []
    records: list[tuple[int, bytes]] = []
    try:
        for number, value in _fields(message):
            if number == 1 and isinstance(value, bytes):
                keys.append(value.decode())
            elif number == 3 and isinstance(value, bytes):
                records.append(_record(value))
        return [(keys[key], record) for key, record in records]
    except (IndexError, ValueError):
        return None


def _record(message: bytes) -> tuple[int, bytes]:
    key, data = 0, b""
    for number, value in _fields(message):
        if number == 1 and isinstance(value, int):
            key = value
        elif number == 3 and isinstance(value, bytes):
            data = value
    return key, data


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and value of each field.

    Raises:
      IndexError, ValueError: it is cut off, or no Protobuf.
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        if kind == _LENGTH:
            size, at = _varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if at + size > len(message):
            raise IndexError(f"field {tag >> 3} is cut off")
        yield tag >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
