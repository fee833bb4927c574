"""Options that say when a record happened, and which records go together: windows as `fixed:60` or `fixed:1d`."""

from __future__ import annotations

import argparse
import re
from typing import Final

from beam_s3box.cli.options.parser import Section
from beam_s3box.cli.options.values import whole_seconds
from beam_s3box.errors import ConfigurationError
from beam_s3box.records.event_times import EventTimes

DEFAULT_WINDOW: Final = "fixed:60"
"""Of a stream."""

_SPEC: Final = re.compile(r"(?:fixed:([^:]+)|sliding:([^:]+):([^:]+))")
_MAX_SECONDS: Final = 999_999_999


def add_event_time_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say when a record happened, and which records go together."""
    parser.add_argument(
        "--window",
        metavar="SPEC",
        help="fixed:SECONDS, as fixed:1d from midnight in UTC, or sliding:SECONDS:PERIOD, where every record is "
        f"written SECONDS / PERIOD times (default: {DEFAULT_WINDOW}); input with an end takes fixed ones, and has "
        "none unless they are given",
    )
    parser.add_argument(
        "--timestamp_field",
        metavar="FIELD",
        help="field that holds a record's time: ISO 8601, UTC unless it says otherwise, or a number since 1970 in "
        "seconds, milli-, micro- or nanoseconds; a record without one is a dead letter, but counts in a stream for "
        "the time that Kafka has for it, or when its file arrived, which is when it was last changed (default: all "
        "records of a stream do)",
    )


WINDOWS: Final = Section(
    "Windows: records of one time share shards and manifests (SECONDS: 30, 30s, 5m, 1h)", add_event_time_arguments
)


def event_times_of(given: argparse.Namespace) -> EventTimes | None:
    """Return by which times records that have an end go into windows, None for no windows.

    Raises:
      ConfigurationError: a field without windows, windows without a field, or windows that share records.
    """
    field, window = given.timestamp_field, given.window
    if field is None and window is None:
        return None
    check_timestamp_field(field)
    if field is None:
        raise ConfigurationError(
            f"--window={window!r} needs the field that holds a record's time: give --timestamp_field=FIELD"
        )
    if window is None:
        raise ConfigurationError(
            f"--timestamp_field={field!r} needs windows into which records go by it: give --window=fixed:1d"
        )
    size, period = window_lengths(window)
    if size > period:
        raise ConfigurationError(
            f"--window={window!r} would write every record {size // period} times: only a stream takes sliding "
            "windows; give fixed ones, as fixed:1d"
        )
    return EventTimes(field, size)


def check_timestamp_field(field: str | None) -> None:
    """Raise ConfigurationError for the empty name."""
    if field == "":
        raise ConfigurationError("--timestamp_field='' must be the name of a field")


def window_lengths(text: str) -> tuple[int, int]:
    """Return how long the windows are that a text names, and how often one begins, in seconds.

    Raises:
      ConfigurationError: it names none, one that is too long, or sliding ones whose periods don't share their windows.
    """
    match = _SPEC.fullmatch(text)
    try:
        lengths = [whole_seconds(length) for length in match.groups() if length] if match else []
    except argparse.ArgumentTypeError:
        lengths = []
    if lengths and max(lengths) > _MAX_SECONDS:
        raise ConfigurationError(
            f"--window={text!r} has more than the maximum of {_MAX_SECONDS} seconds: give fewer, as fixed:365d"
        )
    if not lengths:
        raise ConfigurationError(
            f"--window={text!r} must be fixed:SECONDS or sliding:SECONDS:PERIOD in whole seconds, as fixed:60, "
            "fixed:5m or sliding:1h:10m"
        )
    size, period = lengths[0], lengths[-1]
    if size % period:
        raise ConfigurationError(
            f"--window={text!r} slides by {period} s, which must divide its {size} s, so that every record is in as "
            "many windows"
        )
    return size, period
