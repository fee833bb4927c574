"""Streams, the (domain, namespace) pairs that records are grouped by, and the names of their folders."""

from __future__ import annotations

import hashlib
import itertools
import urllib.parse
from typing import NamedTuple

_SAFE = "-_."
_DIGEST_CHARACTERS = 16
MIN_FOLDER_BYTES = _DIGEST_CHARACTERS + 8
"""Minimum length of a folder name, so that people recognize the stream."""


class Stream(NamedTuple):
    """The pair that records are grouped by. Every stream has its own folder, limits and shards."""

    domain: str
    namespace: str

    def __str__(self) -> str:
        return f"{encode_name(self.domain)}/{encode_name(self.namespace)}"


def encode_name(name: str) -> str:
    """Return the name percent-encoded, so that it is exactly one path component.

    Letters, digits, `-`, `_` and inner `.` are kept; all other characters become `%XX` of their UTF-8 bytes. A name of
    dots only is fully encoded; an empty one becomes `%`. Different names have different results.
    """
    if not name:
        return "%"
    if not name.strip("."):
        return "%2E" * len(name)
    return urllib.parse.quote(name, safe=_SAFE).replace("~", "%7E")


def folder_name(name: str, max_bytes: int) -> str:
    """Return `encode_name(name)`; if it is longer than `max_bytes`, its beginning, `~` and a digest of the name."""
    encoded = encode_name(name)
    if len(encoded) <= max_bytes:
        return encoded
    return f"{encoded[: max_bytes - _DIGEST_CHARACTERS - 1]}~{_digest(name)}"


def column_folder(name: str, max_bytes: int) -> str:
    """Return the name as the value of a column in a folder, `column=value`, at most that many bytes.

    As `folder_name`, but letters, digits and signs beyond ASCII stay as they are: Hive and Spark turn each `%XX` into
    one character, DuckDB and Arrow decode the bytes together as UTF-8; all agree on ASCII.
    """
    parts = [character if _is_kept(character) else encode_name(character) for character in name]
    if parts and not name.strip("."):
        parts = [encode_name(name)]
    sizes = [len(part.encode("utf-8")) for part in parts]
    if sum(sizes) <= max_bytes:
        return "".join(parts) or encode_name(name)
    room = max_bytes - _DIGEST_CHARACTERS - 1
    kept = [part for part, end in zip(parts, itertools.accumulate(sizes), strict=True) if end <= room]
    return f"{''.join(kept)}~{_digest(name)}"


def _is_kept(character: str) -> bool:
    """Return whether a character is kept in the folder of a column: a dot, too, which alone is encoded."""
    return character == "." or (not character.isascii() and character.isprintable())


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8")).hexdigest()[:_DIGEST_CHARACTERS]
