"""Packs records as the Kinesis Producer Library does."""

from __future__ import annotations

import hashlib

MAGIC = b"\xf3\x89\x9a\xc2"


def packed(*records: tuple[str, bytes]) -> bytes:
    """Return one record that holds these, each with its partition key."""
    keys = list(dict.fromkeys(key for key, _ in records))
    message = b"".join(field(1, key.encode()) for key in keys)
    message += field(2, b"12345")  # a hash key that the first record names
    for at, (key, data) in enumerate(records):
        body = number(1, keys.index(key)) + (number(2, 0) if at == 0 else b"") + field(3, data)
        body += field(4, field(1, b"tag") + field(2, b"value"))
        message += field(3, body)
    return MAGIC + message + hashlib.md5(message).digest()


def number(tag: int, value: int) -> bytes:
    return varint(tag << 3) + varint(value)


def field(tag: int, value: bytes) -> bytes:
    return varint(tag << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
