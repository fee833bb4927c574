"""What a shard holds, read block by block: one gzip member of JSON lines or of a JSON array, or one Avro file."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

import msgspec
from zlib_ng import zlib_ng

from beam_s3box.records.encoding import diagnose
from beam_s3box.sizes import GiB, KiB, MiB

Take: TypeAlias = Callable[[bytes], object]
"""Is given the records of a shard, block by block, as whole lines of JSON that each end with a line break."""

_ERRORS: Final[tuple[type[Exception], ...]] = (zlib_ng.error,)  # type: ignore[assignment]
_GZIP_WINDOW: Final = 31
_GZIP_MAGIC: Final = b"\x1f\x8b"
_READ_BYTES: Final = 256 * KiB
"""Of the object, inflated at a time: what was not consumed is copied at each call."""

_BLOCK_BYTES: Final = MiB
"""Of text, checked at a time: large enough that few lines are cut, small enough for the processor's cache."""

_MAX_LINE_BYTES: Final = GiB
"""A longer line is no record that this package wrote."""

_ARRAY_BEGIN: Final = b"[\n"
_COMMA: Final = b"},\n"
_JOINT: Final = b"}\n{"
"""Between two objects on lines of their own. It can't be within an object, where a comma is between two braces."""


class DamagedShardError(Exception):
    """The shard does not hold what a shard holds; the message says what is wrong, and where."""


class Contents(NamedTuple):
    """What a shard was found to hold.

    Attributes:
      records: number of records.
      raw_bytes: bytes before compression.
    """

    records: int
    raw_bytes: int


def ignore(text: bytes) -> None:
    """Take records, and do nothing with them."""


def read_json(body: bytes, take: Take = ignore) -> Contents:
    """Return what a gzip file of JSON holds, after checking all of it.

    It must be one gzip member with nothing behind it, whose checksum and length are right, and hold a JSON object on
    each line, in UTF-8, or one array of them.

    Args:
      body: the object.
      take: is given the lines.

    Raises:
      DamagedShardError: it is anything else.
    """
    records = raw_bytes = 0

    def measured() -> Iterator[bytes]:
        nonlocal raw_bytes
        for block in inflate(body):
            raw_bytes += len(block)
            yield block

    lines: Iterator[bytes] = whole_lines(measured())
    first = next(lines, b"")
    if first.startswith(_ARRAY_BEGIN):
        lines = _lines_of_array(itertools.chain([first.removeprefix(_ARRAY_BEGIN)], lines))
    else:
        lines = itertools.chain([first], lines)
    for text in lines:
        if text:
            records += _check_lines(text, records)
            take(text)
    return Contents(records, raw_bytes)


def inflate(body: bytes) -> Iterator[bytes]:
    """Yield the text of a gzip file that is one member; mostly without the GIL.

    Raises:
      DamagedShardError: it is cut off or damaged, or something is behind the member.
    """
    inflater = zlib_ng.decompressobj(_GZIP_WINDOW)
    view = memoryview(body)
    for start in range(0, len(view), _READ_BYTES):
        data: bytes | memoryview = view[start : start + _READ_BYTES]
        while data and not inflater.eof:
            try:
                block = inflater.decompress(data, _BLOCK_BYTES)
            except _ERRORS as exc:
                raise DamagedShardError(f"is not valid gzip: {exc}") from exc
            if block:
                yield block
            data = inflater.unconsumed_tail
        if inflater.eof:
            _check_end(inflater.unused_data, bytes(view[start + _READ_BYTES :][: len(_GZIP_MAGIC)]), view, start)
            return
    raise DamagedShardError("ends in the middle of its gzip member: it was cut off")


def whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a text in blocks of whole lines, each with its line break.

    Raises:
      DamagedShardError: the last line has none, or a line is longer than any record.
    """
    begun: list[bytes] = []
    begun_bytes = 0
    for block in blocks:
        cut = block.rfind(b"\n") + 1
        if not cut:
            begun.append(block)
            begun_bytes += len(block)
            if begun_bytes > _MAX_LINE_BYTES:
                raise DamagedShardError(f"has a line of more than {_MAX_LINE_BYTES:,} bytes")
            continue
        yield b"".join((*begun, block[:cut])) if begun else block[:cut]
        begun, begun_bytes = [block[cut:]], len(block) - cut
    if begun_bytes:
        raise DamagedShardError("ends in the middle of a line: its last line has no line break")


def _check_end(unused: bytes, following: bytes, view: memoryview, start: int) -> None:
    behind = len(unused) + max(0, len(view) - start - _READ_BYTES)
    if not behind:
        return
    if (unused + following).startswith(_GZIP_MAGIC):
        raise DamagedShardError(f"has a second gzip member of {behind:,} bytes: some readers stop after the first")
    raise DamagedShardError(f"has {behind:,} bytes behind its gzip member")


def _lines_of_array(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of an array, of which the opening bracket was read, without commas and the closing bracket."""
    lines = commas = 0
    held = b""
    for block in blocks:
        if held:
            yield held.replace(_COMMA, b"}\n")
        held = block
        lines += block.count(b"\n")
        commas += block.count(_COMMA)
    if not (b"\n" + held[-3:]).endswith(b"\n]\n"):
        raise DamagedShardError("ends in the middle of its array")
    # all lines but that of the last record and that of the bracket
    if commas != max(0, lines - 2):
        raise DamagedShardError(f"has {commas:,} commas between the {lines - 1:,} lines of its array")
    if held := held.removesuffix(b"]\n"):
        yield held.replace(_COMMA, b"}\n")


class _Fields(msgspec.Struct, gc=False):
    """A JSON object of which nothing is kept: its syntax is checked, and its fields are skipped."""


_DECODER: Final = msgspec.json.Decoder(_Fields)


def _check_lines(text: bytes, before: int) -> int:
    """Check lines together, and return their number; one by one only if that finds something.

    Args:
      text: whole lines.
      before: number of lines before these.
    """
    lines = text.count(b"\n")
    if _is_clean(text, lines):
        return lines
    for number, line in enumerate(text.split(b"\n")[:-1], before + 1):
        error = None if _is_object(line) else diagnose(line)
        if error is not None:
            raise DamagedShardError(f"line {number:,} is no record: {error}: {line[:100]!r}")
    return lines


def _is_clean(text: bytes, lines: int) -> bool:
    """Return whether each line is an object in UTF-8, as far as that is seen by looking at all of them at once."""
    try:
        if not text.isascii():
            text.decode("utf-8")
        objects = len(_DECODER.decode_lines(text))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    # so that no object is on two lines, and no line has two
    return objects == lines == text.count(_JOINT) + 1 and text[:1] == b"{" and text[-2:] == b"}\n"


def _is_object(line: bytes) -> bool:
    try:
        line.decode("utf-8")
        _DECODER.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True
