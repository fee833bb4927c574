"""Bytes out of packed files: gzip, bzip2, xz and zstd, of one or many members."""

from __future__ import annotations

import bz2
import lzma
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

from zlib_ng import zlib_ng

from beam_s3box.errors import ConfigurationError
from beam_s3box.sizes import MiB

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

READ_BYTES: Final = 1 * MiB
"""Bytes read at a time: fewer wait more often for the interpreter's lock, more leave the processor's cache before they
are used."""

PACKED_EXTENSIONS: Final[Mapping[str, str]] = {
    ".gz": "gzip",
    ".gzip": "gzip",
    ".bz2": "bzip2",
    ".xz": "xz",
    ".zst": "zstd",
    ".zstd": "zstd",
}
"""How files are packed, by what their names end with."""

_GZIP_WINDOW = 31
_SKIPPABLE = 0x184D2A50
"""Begins a frame of zstd without content; the last four bits are free."""


class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most that many bytes, none at the end."""
        ...


class _Member(Protocol):
    """Unpacks one member of a file, as the decompressors of bz2 and lzma do."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def packing_of(head: bytes) -> str:
    """Return how a file is packed that begins with these bytes: a name, or nothing if it is not."""
    if int.from_bytes(head[:4], "little") & 0xFFFFFFF0 == _SKIPPABLE:
        return "zstd"
    name = next((name for magic, name in _MAGICS.items() if head.startswith(magic)), "")
    return "" if name == "bzip2" and not _begins_bzip2(head) else name


def _begins_bzip2(head: bytes) -> bool:
    """Return whether a block follows the mark, which is text; a file may be cut off there."""
    return head[3:4] in _BZIP2_LEVELS and any(mark.startswith(head[4:10]) for mark in _BZIP2_BLOCKS)


def gunzip(file: Readable, path: str, read_bytes: int = READ_BYTES) -> Iterator[bytes]:
    """Yield what a gzip file holds, see `unpack`."""
    return unpack(file, "gzip", path, read_bytes)


def unpack(file: Readable, packing: str, path: str, read_bytes: int = READ_BYTES) -> Iterator[bytes]:
    """Yield what a packed file holds.

    Args:
      file: read from its beginning.
      packing: a name, as `packing_of` returns it.
      path: for errors.
      read_bytes: read at a time, and yielded at a time at most.

    Raises:
      ConfigurationError: the file is cut off or damaged.
    """
    new_member = _MEMBERS[packing]
    member, data = new_member(), file.read(read_bytes)
    if not data:
        return
    while True:
        try:
            block = member.decompress(data, read_bytes)
        except _ERRORS as exc:
            raise ConfigurationError(f"input={path!r} is not valid {packing}: {exc}") from exc
        if block:
            yield block
        data = b""
        if member.eof:
            data = _skip_padding(file, member.unused_data, read_bytes)
            if not data:
                return
            member = new_member()
        elif member.needs_input:
            data = file.read(read_bytes)
            if not data:
                raise ConfigurationError(f"input={path!r} ends in the middle of its {packing} data: copy it again")


class _GzipMember:
    def __init__(self) -> None:
        self._inflater = zlib_ng.decompressobj(_GZIP_WINDOW)

    @property
    def eof(self) -> bool:
        return self._inflater.eof

    @property
    def needs_input(self) -> bool:
        return not self._inflater.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inflater.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inflater.decompress(data or self._inflater.unconsumed_tail, max_length)


_MAGICS: Final[Mapping[bytes, str]] = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_BZIP2_LEVELS: Final = b"123456789"
_BZIP2_BLOCKS: Final = (bytes.fromhex("314159265359"), bytes.fromhex("177245385090"))
"""What the first block begins with, and what stands there where there is none."""

_MEMBERS: Final[Mapping[str, Callable[[], _Member]]] = {
    "gzip": _GzipMember,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lzma.LZMADecompressor,
    "zstd": zstd.ZstdDecompressor,
}
_ERRORS: Final[tuple[type[Exception], ...]] = (zlib_ng.error, OSError, lzma.LZMAError, zstd.ZstdError)  # type: ignore[assignment]


def _skip_padding(file: Readable, data: bytes, read_bytes: int) -> bytes:
    """Return what follows a member, without the zeros that some tools pad a file with."""
    data = data.lstrip(b"\0")
    while not data:
        data = file.read(read_bytes)
        if not data:
            break
        data = data.lstrip(b"\0")
    return data
