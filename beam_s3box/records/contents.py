"""What a file holds, by its first bytes: its name may say nothing, or something else."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.batches import LineBatch
from beam_s3box.records.json_documents import is_documents, split_documents
from beam_s3box.records.lines import BATCH_BYTES, BYTE_ORDER_MARK, split_lines
from beam_s3box.records.unpack import PACKED_EXTENSIONS, READ_BYTES, Readable, packing_of, unpack
from beam_s3box.sizes import KiB

_NAMED: Final = 3
"""Paths that a message names."""

HEAD_BYTES: Final = 64 * KiB
"""So much of a file is looked at."""

KINDS: Final = ("jsonl", "json", "csv", "parquet", "avro")
"""What can be read: JSON with a record a line, other JSON, rows."""

JSON_KINDS: Final = ("jsonl", "json")

_EXTENSIONS: Final[Mapping[str, str]] = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".avro": "avro"}
_MAGICS: Final[Mapping[bytes, str]] = {b"PAR1": "parquet", b"PARE": "parquet", b"Obj\x01": "avro"}
_REPACK: Final = "unpack it, or pack it with gzip or zstd"
_REFUSED: Final[Mapping[bytes, str]] = {
    b"PK\x03\x04": "a zip archive, as .xlsx files are too: unpack it, or export it as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel file: export it as CSV",
    b"ORC": "ORC: convert it to Parquet",
    b"ARROW1\0\0": "an Arrow file: convert it to Parquet",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive: unpack it",
    b"Rar!\x1a\x07": "a rar archive: unpack it",
    b"\x04\x22\x4d\x18": f"packed with lz4: {_REPACK}",
    b"\x02\x21\x4c\x18": f"packed with an old version of lz4: {_REPACK}",
    b"\xff\x06\0\0sNaPpY": f"packed with snappy: {_REPACK}",
    b"\x1f\x9d": f"packed with compress: {_REPACK}",
    b"]\0\0": f"packed with lzma: {_REPACK}",
    b"\x89LZO\0": f"packed with lzop: {_REPACK}",
    b"SQLite format 3\0": "a SQLite database: export its tables as CSV",
    b"%PDF-": "a PDF",
    b"{\0": "JSON in UTF-16 without a byte order mark: convert it to UTF-8",
    b"\0{": "JSON in UTF-16 without a byte order mark: convert it to UTF-8",
    b"[\0": "JSON in UTF-16 without a byte order mark: convert it to UTF-8",
    b"\0[": "JSON in UTF-16 without a byte order mark: convert it to UTF-8",
}
_REFUSED_EXTENSIONS: Final[Mapping[str, str]] = {
    ".br": "brotli",
    ".deflate": "deflate",
    ".lz": "lzip",
    ".lz4": "lz4",
    ".lzma": "lzma",
    ".lzo": "lzo",
    ".snappy": "snappy",
}
"""Packings of which some have no first bytes of their own, as those of Hadoop."""

_WORDS: Final = (b"ORC", b"PAR1", b"PARE")
"""Marks that a header of CSV may begin with, as `ORCID,name`; what follows them in their own files is no text."""

_NO_TEXT: Final = re.compile(rb"[\0-\x08\x0e-\x1f]")
_TAR_MARKS: Final = (b"ustar\0", b"ustar ")
_TAR_MARK_AT: Final = 257
_TAR_BLOCK: Final = 512
_ENCODINGS: Final[Mapping[bytes, str]] = {
    codecs.BOM_UTF32_LE: "utf-32",  # begins with the mark of UTF-16
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class Contents(NamedTuple):
    """What a file holds.

    Attributes:
      kind: one of `KINDS`.
      packing: how it is packed, empty if it is not.
      encoding: of its text, by its byte order mark; empty for UTF-8 and for files that are not text.
      blocks: all its bytes: unpacked, and text in UTF-8 without a byte order mark.
    """

    kind: str
    packing: str
    encoding: str
    blocks: Iterator[bytes]

    @property
    def is_plain(self) -> bool:
        """Whether the blocks are the bytes of the file, but for a byte order mark: then it may be read in parts."""
        return not self.packing and not self.encoding


def kind_by_name(path: str) -> str:
    """Return what the name of a file says it holds, empty if it says nothing."""
    name, extension = os.path.splitext(path.lower())
    if extension in PACKED_EXTENSIONS:
        extension = os.path.splitext(name)[1]
    return _EXTENSIONS.get(extension, "")


def check_may_be_empty(path: str, input_format: str) -> None:
    """Raise ConfigurationError for a file without a byte, where its format or its packing has some."""
    packing = PACKED_EXTENSIONS.get(os.path.splitext(path.lower())[1], "")
    kind = kind_by_name(path) if input_format == "auto" else input_format
    what = kind.title() if kind in ("parquet", "avro") else packing
    if what:
        raise ConfigurationError(f"input={path!r} has 0 bytes: it is empty, and {what} never is; copy it again")


def contents_of(file: Readable, path: str, input_format: str = "auto", read_bytes: int = READ_BYTES) -> Contents:
    """Return what a file holds.

    Args:
      file: read from its beginning.
      path: its name.
      input_format: one of `KINDS`, or `auto`.
      read_bytes: read at a time.

    Raises:
      ConfigurationError: what can't be read: an archive, a database, a packing that is not known; or is empty, and
        should not be.
    """
    head, rest = _begun(iter(lambda: file.read(read_bytes), b""))
    if not head:
        check_may_be_empty(path, input_format)
    packing, named = packing_of(head), PACKED_EXTENSIONS.get(os.path.splitext(path.lower())[1])
    if packing:
        head, rest = _begun(unpack(_Chained(head, rest), packing, path, read_bytes))
        if packing_of(head):
            raise _rejected(path, f"packed twice, with {packing} and {packing_of(head)}: unpack it")
    elif named and head.lstrip()[:1] not in (b"", b"{", b"["):
        raise ConfigurationError(
            f"input={path!r} is not valid {named}: it begins with {head[:8]!r}; "
            "copy it again, or give it the name of what it is"
        )
    encoding = next((name for mark, name in _ENCODINGS.items() if head.startswith(mark)), "")
    if encoding:
        head, rest = _begun(_decoded(head, rest, encoding, path))
    kind = _kind_of(head.removeprefix(BYTE_ORDER_MARK), path, input_format)
    if packing and kind in ("parquet", "avro"):
        raise _rejected(path, f"{kind.title()} packed with {packing}: unpack it")
    return Contents(kind, packing, encoding, _chained(head.removeprefix(BYTE_ORDER_MARK), rest))


def json_batches(
    contents: Contents, source: str, max_bytes: int, batch_bytes: int = BATCH_BYTES
) -> Iterator[LineBatch]:
    """Yield the records of JSON in batches, see `split_lines` and `split_documents`.

    Raises:
      ConfigurationError: the file is not JSON, where a record is not a line.
    """
    if contents.kind == "jsonl":
        return split_lines(contents.blocks, batch_bytes, max_bytes, source)
    return split_documents(contents.blocks, batch_bytes, max_bytes, source)


def _kind_of(head: bytes, path: str, input_format: str) -> str:
    for magic, what in _REFUSED.items():
        if _has_mark(head, magic):
            raise _rejected(path, what)
    if _is_tar(head):
        raise _rejected(path, "a tar archive: unpack it")
    found = next((kind for magic, kind in _MAGICS.items() if _has_mark(head, magic)), "")
    named = _REFUSED_EXTENSIONS.get(os.path.splitext(path.lower())[1])
    if named and not found and not _is_text(head):
        raise _rejected(path, f"packed with {named}, as its name says: {_REPACK}")
    if input_format != "auto":
        if found and found != input_format:
            raise ConfigurationError(
                f"input={path!r} is {found.title()}, and input_format={input_format!r} is given: leave it out"
            )
        return input_format
    return found or kind_by_name(path) or ("json" if is_documents(head[:HEAD_BYTES]) else "jsonl")


def _has_mark(head: bytes, magic: bytes) -> bool:
    if not head.startswith(magic):
        return False
    is_table = any(mark in head for mark in (b"\n", b",", b";", b"|", b"\t"))
    return magic not in _WORDS or not is_table or not _is_text(head)


def _is_tar(head: bytes) -> bool:
    """Return whether a file begins as a tar archive; its mark may stand in a text as well, as in `custard`."""
    if not head.startswith(_TAR_MARKS, _TAR_MARK_AT):
        return False
    import tarfile

    try:
        tarfile.TarInfo.frombuf(head[:_TAR_BLOCK], "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    return True


def _is_text(head: bytes) -> bool:
    if _NO_TEXT.search(head):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _begun(blocks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return how blocks begin, and those that follow.

    A line is enough, as a pipe may give no more for long; what is shorter than any line of JSON is not.
    """
    head = b""
    while len(head) < HEAD_BYTES and (b"\n" not in head[4:]):
        block = next(blocks, b"")
        if not block:
            break
        head += block
    return head, blocks


def _chained(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


class _Chained:
    """Reads blocks, whatever size is asked for."""

    def __init__(self, head: bytes, rest: Iterator[bytes]) -> None:
        self._blocks = _chained(head, rest)

    def read(self, size: int, /) -> bytes:
        return next(self._blocks, b"")


def _decoded(head: bytes, rest: Iterator[bytes], encoding: str, path: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for block in _chained(head, rest):
            text = decoder.decode(block)
            if text:
                yield text.encode()
        decoder.decode(b"", final=True)
    except UnicodeError as exc:
        raise ConfigurationError(f"input={path!r} is not valid {encoding.upper()}: {exc}") from exc


def _rejected(path: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"input={path!r} can't be read: it is {what}")


def documents_note(paths: Sequence[str]) -> str:
    """Return the line that names the files that hold JSON that is not a record a line."""
    named = ", ".join(paths[:_NAMED]) + (", …" if len(paths) > _NAMED else "")
    files = "1 file holds" if len(paths) == 1 else f"{len(paths):,} files hold"
    return (
        f"{files} JSON objects over several lines, one behind the other or in an array, and no object a line: each "
        f"object is a record ({named})"
    )


def skipped_note(paths: Sequence[str]) -> str:
    """Return the line that names the files that were left out."""
    named = ", ".join(paths[:_NAMED]) + (", …" if len(paths) > _NAMED else "")
    return f"left out, as their names are not those of data: {named}; a file that is named in full is read"
