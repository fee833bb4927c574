"""Records out of JSON that is not a record a line: over several lines, one behind the other, or in an array."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.batches import LineBatch
from beam_s3box.sizes import KiB

_TRUNCATED: Final = "Input data was truncated"
_TRAILING: Final = "JSON is malformed: trailing characters (byte "
_PLACE: Final = re.compile(r" \(byte (\d+)\)$")
_BLANK: Final = re.compile(rb"[ \t\r\n]*")
_CLOSED: Final = frozenset(b'}]"')
"""The last byte of a document that can't go on; a number can."""

_FEW_BYTES: Final = 4 * KiB
_GROW_BYTES: Final = 256 * KiB
"""A document that is longer than this is looked at again only when there is twice as much of it."""

_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_CHARACTER: Final = rb"\\u0041"
"""Stands for half of a character, with which the decoder finds no end; the record is rejected where all others are."""

_decode: Final = msgspec.json.Decoder(msgspec.Raw).decode


class _Look(NamedTuple):
    """What a text begins with.

    Attributes:
      end: of its first document, behind white space that follows; -1 if there is none.
      fault: why there is none; empty where the text is only too short.
      at: byte of the fault.
    """

    end: int
    fault: str = ""
    at: int = 0


def is_documents(head: bytes) -> bool:
    """Return whether a text that begins so is JSON, but not a record a line."""
    text = head[_BLANK.match(head).end() :]  # type: ignore[union-attr]
    if text[:1] not in (b"{", b"["):
        return False
    look = _look(text)
    if look.fault:
        return _goes_over_lines(text)
    if look.end < 0:
        # an object in a line of its own may be long
        return b"\n" in text or text[:1] == b"["
    document = text[: look.end].rstrip()
    if b"\n" in document:
        return True
    if look.end == len(text):
        return document[:1] == b"["
    return b"\n" not in text[len(document) : look.end] and text[look.end : look.end + 1] in (b"{", b"[")


def _goes_over_lines(text: bytes) -> bool:
    """Return whether a faulty text is documents: read as lines, which are rejected one by one, it would lose good ones.

    Of lines that are a record each some are seen: an object that is followed by another one in the next line.
    """
    lines = [line for line in map(bytes.strip, text.split(b"\n")) if line]
    if lines[0] in (b"[", b"{"):
        return True
    if text[:1] == b"[":
        return text[1:].lstrip()[:1] == b"{"
    behind = [*lines[1:], b"{"]
    return len(lines) > 1 and not any(
        line[:1] == b"{" and line[-1:] == b"}" and after[:1] == b"{" for line, after in zip(lines, behind, strict=True)
    )


def split_documents(blocks: Iterator[bytes], batch_bytes: int, max_bytes: int, source: str) -> Iterator[LineBatch]:
    """Yield the documents of a text that comes in blocks, in batches; of a top-level array its elements.

    One of several lines is brought into one, without the white space between its values. The rest of a text that ends
    within a document is the last one: it is rejected where all others are.

    Args:
      blocks: the text.
      batch_bytes: of the documents in a batch, about.
      max_bytes: of the longest document.
      source: names the text, in the batches and in errors.

    Raises:
      ConfigurationError: the file is not JSON, or has a document that is too long.
    """
    splitter = _Splitter(blocks, max_bytes, source)
    first, size, batch = 1, 0, list[bytes]()
    for document in splitter.documents():
        batch.append(document)
        size += len(document)
        if size >= batch_bytes:
            yield LineBatch(batch, source, range(first, first + len(batch)))
            first, size, batch = first + len(batch), 0, []
    if batch:
        yield LineBatch(batch, source, range(first, first + len(batch)))


class _Splitter:
    def __init__(self, blocks: Iterator[bytes], max_bytes: int, source: str) -> None:
        self._blocks = blocks
        self._max_bytes = max_bytes
        self._source = source
        self._text = b""
        self._at = 0
        self._before = 0  # bytes of the source before the text
        self._number = 1

    def documents(self) -> Iterator[bytes]:
        while (first := self._next_byte()) is not None:
            if first == b"[":
                self._at += 1
                yield from self._elements()
            else:
                yield self._document()

    def _elements(self) -> Iterator[bytes]:
        if self._next_byte() == b"]":
            self._at += 1
            return
        while True:
            yield self._document()
            mark = self._next_byte()
            if mark is None:
                raise self._error("ends in the middle of its array: copy it again")
            if mark not in (b",", b"]"):
                raise self._malformed("expected ',' or ']'")
            self._at += 1
            if mark == b"]":
                return
            if self._next_byte() is None:
                raise self._error("ends in the middle of its array: copy it again")

    def _next_byte(self) -> bytes | None:
        """Return the next byte that is no white space, None at the end."""
        while True:
            self._at = _BLANK.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text):
                return self._text[self._at : self._at + 1]
            if not self._read_on():
                return None

    def _document(self) -> bytes:
        while True:
            look = _look(memoryview(self._text)[self._at :])
            size = len(self._text) - self._at
            may_go_on = look.end == size and self._text[-1] not in _CLOSED
            if look.end >= 0 and not may_go_on:
                break
            if look.fault and look.at < size:
                raise self._malformed(look.fault, look.at)
            if size > self._max_bytes:
                raise self._error(f"has a record of more than {self._max_bytes} bytes, at byte {self._position()}")
            if not self._read_on():
                look = _Look(size)
                break
        document = self._text[self._at : self._at + look.end].rstrip()
        self._at += look.end
        self._number += 1
        if b"\n" in document or b"\r" in document:
            return _in_one_line(document)
        return document

    def _read_on(self) -> bool:
        """Add to the text; return False at the end."""
        kept = self._text[self._at :]
        self._before += self._at
        wanted = len(kept) if len(kept) > _GROW_BYTES else 1
        parts = [kept]
        while wanted > 0 and (block := next(self._blocks, b"")):
            parts.append(block)
            wanted -= len(block)
        self._text, self._at = b"".join(parts), 0
        return len(self._text) > len(kept)

    def _position(self) -> int:
        return self._before + self._at

    def _malformed(self, fault: str, at: int = 0) -> ConfigurationError:
        return self._error(
            f"is no JSON at byte {self._position() + at}, in record {self._number}: {fault}. If it holds a record a "
            "line, give --input_format=jsonl, which makes dead letters of bad lines"
        )

    def _error(self, what: str) -> ConfigurationError:
        return ConfigurationError(f"input={self._source!r} {what}")


def _look(text: bytes | memoryview) -> _Look:
    """Find the end of the first document; halves of characters in it are no fault here."""
    look = _decoded(text)
    if look.end >= 0 or not _SURROGATE.search(text):
        return look
    size = _FEW_BYTES
    while True:
        # there may be many such documents, each of them short
        part = _SURROGATE.sub(_CHARACTER, text[:size])
        look = _decoded(part)
        if size >= len(text) or 0 <= look.end < size or (look.fault and look.at < size):
            return look
        size *= 4


def _decoded(text: bytes | memoryview) -> _Look:
    """Ask the decoder, which builds nothing, and says where it meets something else."""
    try:
        _decode(text)
    except msgspec.DecodeError as exc:
        said = str(exc)
    except RecursionError:
        return _Look(-1, "nested too deeply")
    else:
        return _Look(len(text))
    if said == _TRUNCATED:
        return _Look(-1)
    place = _PLACE.search(said)
    at = int(place[1]) if place else 0
    if said.startswith(_TRAILING):
        return _Look(at - 1)
    return _Look(-1, _PLACE.sub("", said.removeprefix("JSON is malformed: ")), at)


def _in_one_line(document: bytes) -> bytes:
    try:
        return msgspec.json.format(document, indent=-1)
    except msgspec.DecodeError:
        # the text ended within it, or it has half of a character; no value has a line break in it
        return b" ".join(document.splitlines())
