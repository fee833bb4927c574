"""How large and how old a shard may grow, for one stream or for each its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from beam_s3box.checks import check_positive, check_whole
from beam_s3box.errors import ConfigurationError
from beam_s3box.records.patterns import check_pattern, find_by_pattern
from beam_s3box.records.streams import Stream
from beam_s3box.shards.lanes import check_lanes
from beam_s3box.sizes import GiB, MiB, parse_size

DEFAULT_OBJECT_BYTES = 64 * MiB
"""Redshift reads one gzip object with one slice; 64 MiB is within what its documentation recommends (1 MB to 1 GB)."""

MAX_OBJECT_BYTES = 1 * GiB
"""The most that Redshift's documentation recommends; and a shard is held in memory while it is uploaded."""

MIN_BYTES = 64
"""Below this not even the overhead of a gzip file would fit."""


@dataclasses.dataclass(frozen=True)
class StreamLimits:
    """The limits of one shard; whichever is reached first seals it.

    A shard never exceeds a limit, unless a single record does.

    Attributes:
      max_object_bytes: bytes of the object on S3, compressed, including the overhead of the format; a number or text
        such as `"10MB"` or `"64MiB"`.
      max_raw_bytes: bytes before compression, also a number or text; None for no limit.
      max_records: number of records; None for no limit.
      max_seconds: age of a shard's first record, for unbounded input only; None for no limit.
      lanes: keys that a pipeline spreads the records of the stream over, by their content, where one worker can't pack
        them; each has shards of its own.
    """

    max_object_bytes: int = DEFAULT_OBJECT_BYTES
    max_raw_bytes: int | None = None
    max_records: int | None = None
    max_seconds: float | None = 60.0
    lanes: int = 1

    def __post_init__(self) -> None:
        for name in ("max_object_bytes", "max_raw_bytes"):
            if isinstance(text := getattr(self, name), str):
                object.__setattr__(self, name, parse_size(text, name))
        check_whole("max_object_bytes", self.max_object_bytes, MIN_BYTES, MAX_OBJECT_BYTES)
        if self.max_raw_bytes is not None:
            check_whole("max_raw_bytes", self.max_raw_bytes, 1)
        if self.max_records is not None:
            check_whole("max_records", self.max_records, 1)
        check_lanes(self.lanes)
        if self.max_seconds is not None:
            check_positive("max_seconds", self.max_seconds, "; None means no time limit")


Limits: TypeAlias = StreamLimits | Mapping[str, StreamLimits] | Callable[[Stream], StreamLimits]
"""One StreamLimits for all, a mapping from patterns such as `"web/*"`, or a function of the stream."""


class LimitsByPattern:
    """Limits by the first pattern that matches `domain/namespace`; the default limits if none matches."""

    def __init__(self, limits: Mapping[str, StreamLimits]) -> None:
        for pattern, value in limits.items():
            if not isinstance(value, StreamLimits):
                raise ConfigurationError(f"limits[{pattern!r}]={value!r} must be a StreamLimits")
            check_pattern(pattern, "limits")
        self._limits = dict(limits)

    def __call__(self, stream: Stream) -> StreamLimits:
        """Return the limits of this stream."""
        return find_by_pattern(self._limits, stream) or StreamLimits()


class LimitsForAll:
    """The same limits for every stream."""

    def __init__(self, limits: StreamLimits) -> None:
        self._limits = limits

    def __call__(self, stream: Stream) -> StreamLimits:
        """Return the limits of this stream."""
        return self._limits


class LimitsByFunction:
    """Limits by a function of the user, whose result is checked."""

    def __init__(self, function: Callable[[Stream], StreamLimits]) -> None:
        self._function = function

    def __call__(self, stream: Stream) -> StreamLimits:
        """Return the limits of this stream."""
        limits = self._function(stream)
        if not isinstance(limits, StreamLimits):
            raise ConfigurationError(f"limits({stream!r}) returned {limits!r}; it must return a StreamLimits")
        return limits


def limits_by_stream(limits: Limits) -> Callable[[Stream], StreamLimits]:
    """Return the function from stream to limits for a user's `limits` argument.

    Raises:
      ConfigurationError: not a StreamLimits, a mapping to them, or a callable.
    """
    if isinstance(limits, StreamLimits):
        return LimitsForAll(limits)
    if isinstance(limits, Mapping):
        return LimitsByPattern(limits)
    if callable(limits) and not isinstance(limits, type):
        return LimitsByFunction(limits)
    raise ConfigurationError(
        f"limits={limits!r} must be a StreamLimits, a mapping such as {{'web/*': StreamLimits(...)}}, or a function"
    )


def limits_from_json(values: Any, parameter: str = "limits") -> StreamLimits:
    """Return the limits that a JSON object describes; sizes may be numbers or text such as `"64MiB"`.

    Raises:
      ConfigurationError: not an object, an unknown name, or a value out of range.
    """
    names = [field.name for field in dataclasses.fields(StreamLimits)]
    if not isinstance(values, dict):
        raise ConfigurationError(f"{parameter} must be an object with some of {', '.join(names)}, not {values!r}")
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise ConfigurationError(f"{parameter} has {unknown[0]!r}; known are {', '.join(names)}")
    return StreamLimits(**values)
