"""The limit that the settings in a run's record gave a shard."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

from beam_s3box.records.patterns import find_by_pattern
from beam_s3box.records.streams import Stream
from beam_s3box.shards.limits import DEFAULT_OBJECT_BYTES

_IN_TEXT = re.compile(r"max_object_bytes=(\d+)")


def object_limit_of(settings: Mapping[str, Any]) -> Callable[[Stream], int | None]:
    """Return the function from stream to the most bytes of its shards; None for a stream where that is unknown."""
    limits = settings.get("limits")
    if isinstance(limits, Mapping) and not isinstance(limits.get("max_object_bytes"), int):
        by_pattern = {str(pattern): _limit(value) or 0 for pattern, value in limits.items()}
        return functools.partial(_find, by_pattern)
    return functools.partial(_same, _limit(limits))


def _find(by_pattern: Mapping[str, int], stream: Stream) -> int | None:
    limit = find_by_pattern(by_pattern, stream)
    return DEFAULT_OBJECT_BYTES if limit is None else limit or None


def _same(limit: int | None, stream: Stream) -> int | None:
    return limit


def _limit(value: Any) -> int | None:
    """Return the limit of an entry: limits as JSON has them, or as Python shows them."""
    if isinstance(value, Mapping):
        value = value.get("max_object_bytes", DEFAULT_OBJECT_BYTES)
        return value if isinstance(value, int) else None
    match = _IN_TEXT.search(value) if isinstance(value, str) else None
    return int(match[1]) if match else None
