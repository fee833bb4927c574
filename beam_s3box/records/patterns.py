"""Settings by stream: patterns of `domain/namespace`. Exact names take precedence over wildcards.

Names stand in a pattern as they are or percent-encoded, as in keys; a `/` in a name always as `%2F`, so that there is
only one `/`, which separates them.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import TypeVar

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.streams import Stream

_T = TypeVar("_T")


def check_pattern(pattern: object, parameter: str) -> None:
    """Raise ConfigurationError for a pattern that can't match any stream."""
    if not isinstance(pattern, str) or (pattern != "*" and pattern.count("/") != 1):
        raise ConfigurationError(
            f"{parameter} has the pattern {pattern!r}: write '*' or 'domain/namespace', each part with "
            "optional wildcards, and with %2F for a '/' inside a name"
        )


def find_by_pattern(by_pattern: Mapping[str, _T], stream: Stream) -> _T | None:
    """Return the value of the stream's own name, else of the first pattern that matches it; None if nothing matches."""
    names = str(stream), "/".join(name.replace("/", "%2F") for name in stream)
    for name in names:
        if name in by_pattern:
            return by_pattern[name]
    matching = (
        value for pattern, value in by_pattern.items() if any(fnmatch.fnmatchcase(name, pattern) for name in names)
    )
    return next(matching, None)
