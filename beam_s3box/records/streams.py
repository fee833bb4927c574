"""A stream, the (domain, namespace) pair that records are grouped by, and how its names become folders."""

from __future__ import annotations

import hashlib
import urllib.parse
from typing import NamedTuple

_SAFE = "-_."
_DIGEST_CHARACTERS = 16
MIN_FOLDER_BYTES = _DIGEST_CHARACTERS + 8
"""The shortest folder name that still tells a person which stream it is."""


class Stream(NamedTuple):
    """The pair that records are grouped by; every stream has its own folder, limits and shards."""

    domain: str
    namespace: str

    def __str__(self) -> str:
        return f"{encode_name(self.domain)}/{encode_name(self.namespace)}"


def encode_name(name: str) -> str:
    """Return the name percent-encoded, so that it is one path component and nothing else.

    Letters, digits, `-`, `_` and inner `.` stay; all else becomes `%XX` of its UTF-8 bytes. A name of dots only is
    encoded whole; an empty one becomes `%`. Different names give different results.
    """
    if not name:
        return "%"
    if not name.strip("."):
        return "%2E" * len(name)
    return urllib.parse.quote(name, safe=_SAFE).replace("~", "%7E")


def folder_name(name: str, max_bytes: int) -> str:
    """Return `encode_name(name)`; where that is longer than `max_bytes`, its beginning, `~` and the name's digest."""
    encoded = encode_name(name)
    if len(encoded) <= max_bytes:
        return encoded
    digest = hashlib.sha256(name.encode("utf-8")).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{encoded[: max_bytes - _DIGEST_CHARACTERS - 1]}~{digest}"
