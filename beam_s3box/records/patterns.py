"""Settings by stream: patterns of `domain/namespace`, an exact name before any wildcard.

Both names stand percent-encoded, as in the keys, so that `/` parts them and nothing else.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import TypeVar

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.streams import Stream

_T = TypeVar("_T")


def check_pattern(pattern: object, parameter: str) -> None:
    """Raise ConfigurationError for a pattern that could match no stream."""
    if not isinstance(pattern, str) or (pattern != "*" and pattern.count("/") != 1):
        raise ConfigurationError(
            f"{parameter} has the pattern {pattern!r}: write '*' or 'domain/namespace', each part with wildcards "
            "if you like, and a '/' inside a name as %2F"
        )


def find_by_pattern(by_pattern: Mapping[str, _T], stream: Stream) -> _T | None:
    """Return what the stream's own name, else the first pattern that matches it, stands for; None if nothing does."""
    name = str(stream)
    if name in by_pattern:
        return by_pattern[name]
    return next((value for pattern, value in by_pattern.items() if fnmatch.fnmatchcase(name, pattern)), None)
