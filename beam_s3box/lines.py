"""Lines of JSON out of the bytes of a file: split in batches, unpacked from gzip, without byte order mark."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final, Protocol

from zlib_ng import zlib_ng

from beam_s3box.errors import ConfigurationError
from beam_s3box.sizes import KiB, MiB

READ_BYTES: Final = 4 * MiB
"""Bytes read at a time: each read gives up the interpreter's lock, and waits for it behind busy threads."""

BATCH_BYTES: Final = 512 * KiB
"""Bytes of lines in a batch, about: more only costs memory, fewer cost calls."""

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

_GZIP_WINDOW = 31
_EXTENSIONS = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".avro": "avro"}


class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most that many bytes, none at the end."""
        ...


def format_of(path: str, input_format: str) -> str:
    """Return the format of a file: the one asked for, or the one its extension tells; JSON lines if it tells none."""
    if input_format != "auto":
        return input_format
    plain = path.lower().removesuffix(".gz")
    return _EXTENSIONS.get(os.path.splitext(plain)[1], "jsonl")


def is_gzip(path: str) -> bool:
    """Return whether a file's name says that it is compressed."""
    return path.lower().endswith(".gz")


def split_lines(blocks: Iterator[bytes], batch_bytes: int = BATCH_BYTES) -> Iterator[list[bytes]]:
    """Yield the lines of a text that comes in blocks, in batches, without line breaks and blank lines."""
    begun: list[bytes] = []
    for block in blocks:
        lines = block.split(b"\n")
        if b"\r" in block:
            lines[:-1] = [line.removesuffix(b"\r") for line in lines[:-1]]
        begun.append(lines[0])
        if len(lines) > 1:
            lines[0] = b"".join(begun).removesuffix(b"\r")
            begun = [lines.pop()]
            yield from _batches(lines, len(block), batch_bytes)
    yield from _batches([b"".join(begun).removesuffix(b"\r")], 1, batch_bytes)


def plain_blocks(file: Readable, read_bytes: int = READ_BYTES) -> Iterator[bytes]:
    """Yield the text of a file from its beginning, without a byte order mark."""
    head = b""
    while len(head) < len(BYTE_ORDER_MARK) and (block := file.read(read_bytes)):
        head += block  # a pipe may give a byte at a time
    head = head.removeprefix(BYTE_ORDER_MARK)
    if head:
        yield head
    while block := file.read(read_bytes):
        yield block


def gunzip(file: Readable, path: str, read_bytes: int = READ_BYTES) -> Iterator[bytes]:
    """Yield the text of a gzip file of one or many members.

    Raises:
      ConfigurationError: the file is cut off or not gzip.
    """
    inflater, first = zlib_ng.decompressobj(_GZIP_WINDOW), True
    pending = file.read(read_bytes)
    whole = not pending
    try:
        while pending:
            block = inflater.decompress(pending, read_bytes)
            if block:
                yield block.removeprefix(BYTE_ORDER_MARK) if first else block
                first = False
            whole = inflater.eof
            if whole:
                pending = _skip_padding(file, inflater.unused_data, read_bytes)
                inflater = zlib_ng.decompressobj(_GZIP_WINDOW)
            else:
                pending = inflater.unconsumed_tail or file.read(read_bytes)
    except zlib_ng.error as exc:  # type: ignore[misc]
        raise ConfigurationError(f"input={path!r} is not valid gzip: {exc}") from exc
    if not whole:
        raise ConfigurationError(f"input={path!r} ends in the middle of its gzip data: copy it again")


def _skip_padding(file: Readable, data: bytes, read_bytes: int) -> bytes:
    """Return what follows a gzip member, without the zeros that some tools pad a file with."""
    data = data.lstrip(b"\0")
    while not data:
        data = file.read(read_bytes)
        if not data:
            break
        data = data.lstrip(b"\0")
    return data


def _batches(lines: list[bytes], text_bytes: int, batch_bytes: int) -> Iterator[list[bytes]]:
    if min(lines) < b"!":  # a line that is blank, or begins with white space, sorts before all others
        lines = [line for line in lines if line and not line.isspace()]
    length = max(1, len(lines) * batch_bytes // text_bytes)
    for start in range(0, len(lines), length):
        yield lines[start : start + length]
