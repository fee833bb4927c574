"""Lines of JSON out of the text of a file, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from beam_s3box.records.batches import LineBatch
from beam_s3box.sizes import KiB, MiB

BATCH_BYTES: Final = 1 * MiB
"""Approximate bytes of the lines in a batch: fewer cost calls, more no longer fit the cache of a processor."""

MAX_LINE_BYTES: Final = 16 * MiB
"""Maximum bytes of a line that is kept whole if records of this size are rejected, for a complete dead letter."""

MAX_UNLIMITED_LINE_BYTES: Final = 64 * MiB
"""The same if the size of records is unlimited; a line takes about four times its size while it is packed."""

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

_CUT = b"\0beam_s3box: this line was cut:"
_HEAD_BYTES = 4 * KiB


def longest_line(max_record_bytes: int | None) -> int:
    """Return how many bytes of a line are kept until its end is found.

    Args:
      max_record_bytes: the limit of accepted records, None for no limit.
    """
    # one byte more for a carriage return, which is not part of the line
    return MAX_UNLIMITED_LINE_BYTES if max_record_bytes is None else max(MAX_LINE_BYTES, max_record_bytes + 1)


def split_lines(
    blocks: Iterator[bytes],
    batch_bytes: int = BATCH_BYTES,
    max_line_bytes: int = MAX_UNLIMITED_LINE_BYTES,
    source: str = "",
    offset: int = 0,
) -> Iterator[LineBatch]:
    """Yield the lines of a text that comes in blocks, in batches, without line breaks and blank lines.

    Args:
      blocks: the text.
      batch_bytes: approximate bytes of the lines in a batch.
      max_line_bytes: maximum bytes of a line that continues in further blocks; of longer ones only the beginning is
        kept, see `cut_line_of`.
      source: names the text in the batches.
      offset: the byte of the source at which the text begins.
    """
    begun, number = _BegunLine(max_line_bytes), 1

    def batches(lines: list[bytes], text_bytes: int) -> Iterator[LineBatch]:
        numbers: Sequence[int] = range(number, number + len(lines))
        if min(lines) < b"!":  # blank lines, and lines that start with white space, sort before all others
            numbers = [at for at, line in zip(numbers, lines, strict=True) if line and not line.isspace()]
            lines = [lines[at - number] for at in numbers]
        length = max(1, len(lines) * batch_bytes // text_bytes)
        for start in range(0, len(lines), length):
            end = start + length
            yield LineBatch(lines[start:end], source, numbers[start:end], offset)

    for block in blocks:
        lines = block.split(b"\n")
        if b"\r" in block:
            lines[:-1] = [line.removesuffix(b"\r") for line in lines[:-1]]
        begun.add(lines[0])
        if len(lines) > 1:
            lines[0] = begun.end()
            begun.add(lines.pop())
            yield from batches(lines, len(block))
            number += len(lines)
    yield from batches([begun.end()], 1)


class CutLine(NamedTuple):
    """A line that was too long to be kept.

    Attributes:
      detail: the problem.
      head: the first bytes of the line.
    """

    detail: str
    head: bytes


def cut_line_of(line: bytes) -> CutLine | None:
    """Return the beginning of a line that `split_lines` truncated, None for all other lines.

    Truncated lines are among the other lines, marked by bytes that no line of JSON starts with. So they are rejected
    and counted like any invalid line.
    """
    if not line.startswith(_CUT):
        return None
    limit, _, head = line[len(_CUT) :].partition(b":")
    return CutLine(f"a line of more than {limit.decode()} bytes; its first {len(head)} are kept", head)


class _BegunLine:
    """The incomplete line at the end of a block."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._begin()

    def _begin(self) -> None:
        self._held = bytearray()  # not a list of parts, which may be tiny if they come from a pipe
        self._bytes = 0
        self._is_blank = True

    def add(self, part: bytes) -> None:
        """Add the next part."""
        self._bytes += len(part)
        if self._bytes <= self._max_bytes:
            self._held += part
            return
        self._is_blank = self._is_blank and not self._held.strip() and not part.strip()
        self._held += part[:_HEAD_BYTES]
        del self._held[_HEAD_BYTES:]

    def end(self) -> bytes:
        """Return the line, and start the next one."""
        line = bytes(self._held).removesuffix(b"\r")
        if self._bytes > self._max_bytes:
            line = b"" if self._is_blank else b"%b%d:%b" % (_CUT, self._max_bytes, line)
        self._begin()
        return line
