"""Avro container files: a header, and blocks of rows separated by a sync marker.

Blocks are compressed independently, so the blocks of a stream can be joined after a header without decompressing them.
The marker is derived from the schema and the codec: equal records give equal bytes on all workers.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from zlib_ng import zlib_ng

from beam_s3box.errors import ConfigurationError
from beam_s3box.formats.avro.types import long_bytes
from beam_s3box.formats.deflate import LEVEL
from beam_s3box.sizes import MiB

MARKER_BYTES: Final = 16

BLOCK_BYTES: Final = 1 * MiB
"""Raw bytes of a block, unless a single row is larger. COPY accepts 4 MB, compressed or not: it is not documented."""

MAX_HEADER_BYTES: Final = 1_000_000
"""COPY accepts a header of up to 1 MB."""

_MAGIC: Final = b"Obj\x01"
_RAW_DEFLATE_WINDOW: Final = -15


def header_of(schema: str, codec: str) -> bytes:
    """Return the header of a file, which ends with the sync marker.

    Raises:
      ConfigurationError: the header is too long for COPY.
    """
    entries = {"avro.codec": codec, "avro.schema": schema}
    pairs = b"".join(_text(name) + _text(value) for name, value in entries.items())
    fields = _MAGIC + long_bytes(len(entries)) + pairs + long_bytes(0)
    header = fields + hashlib.sha256(fields).digest()[:MARKER_BYTES]
    if len(header) > MAX_HEADER_BYTES:
        raise ConfigurationError(
            f"schema makes a header of {len(header)} bytes, and Redshift accepts {MAX_HEADER_BYTES}: shorten its docs, "
            "or split the records into streams with smaller schemas"
        )
    return header


def blocks_of(rows: Sequence[bytes], codec: str) -> Iterator[bytes]:
    """Yield the rows as blocks, without the marker after each; mostly without the GIL."""
    compress = compressor(codec)
    for count, raw in _runs(rows):
        data = compress(raw)
        yield b"".join((long_bytes(count), long_bytes(len(data)), data))


def compressor(codec: str) -> Callable[[bytes], bytes]:
    """Return the function that compresses a block.

    Raises:
      ConfigurationError: COPY does not support the codec, or the package that it needs is not installed.
    """
    if codec not in CODECS:
        raise ConfigurationError(f"codec={codec!r} must be one of {', '.join(CODECS)}: COPY supports no other")
    return CODECS[codec]


def check_codec(codec: str) -> None:
    """Raise ConfigurationError if the codec is not available."""
    compressor(codec)
    if codec == "snappy":
        _cramjam()


def _runs(rows: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    begun, size = 0, 0
    for index, row in enumerate(rows):
        if size + len(row) > BLOCK_BYTES and index > begun:
            yield index - begun, b"".join(rows[begun:index])
            begun, size = index, 0
        size += len(row)
    yield len(rows) - begun, b"".join(rows[begun:])


def _deflate(raw: bytes) -> bytes:
    compress = zlib_ng.compressobj(LEVEL, zlib_ng.DEFLATED, _RAW_DEFLATE_WINDOW)
    return compress.compress(raw) + compress.flush()


def _snappy(raw: bytes) -> bytes:
    return bytes(_cramjam().snappy.compress_raw(raw)) + zlib_ng.crc32(raw).to_bytes(4, "big")


def _cramjam() -> Any:
    """Return the package that implements snappy."""
    try:
        return importlib.import_module("cramjam")
    except ImportError as exc:
        raise ConfigurationError(
            "codec='snappy' needs the package cramjam, which is not installed: pip install cramjam, or use "
            "codec='deflate'"
        ) from exc


def _text(text: str) -> bytes:
    raw = text.encode("utf-8")
    return long_bytes(len(raw)) + raw


def _as_it_is(raw: bytes) -> bytes:
    return raw


CODECS: Final[dict[str, Callable[[bytes], bytes]]] = {"null": _as_it_is, "deflate": _deflate, "snappy": _snappy}
"""The codecs that COPY supports; Avro has more."""
