"""When a record happened, and which records go together: windows as a command line names them, `fixed:60`."""

from __future__ import annotations

import argparse
import re
from typing import NamedTuple

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import FixedWindows, NonMergingWindowFn, SlidingWindows

from beam_s3box.cli.options.jobs import DEFAULT_WINDOW, WATERMARK_DELAY
from beam_s3box.cli.options.values import whole_seconds
from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.options.parser import given_of
from beam_s3box.records.event_times import MICROS as MICROS
from beam_s3box.records.event_times import EventTimes

_SPEC = re.compile(r"(?:fixed:([^:]+)|sliding:([^:]+):([^:]+))")
_MAX_WINDOW_SECONDS = 999_999_999


class WindowSpec(NamedTuple):
    """Windows that begin every `period` seconds and are `size` seconds long; all times of a period share theirs."""

    size: int
    period: int

    def windowfn(self) -> NonMergingWindowFn:
        """Return Beam's function for these windows."""
        return FixedWindows(self.size) if self.size == self.period else SlidingWindows(self.size, self.period)

    @property
    def each_in(self) -> int:
        """In how many windows each record is."""
        return self.size // self.period

    def period_of(self, micros: int) -> int:
        """Return the number of the period that a time is in."""
        return micros // (self.period * MICROS)

    def start_of(self, period: int) -> int:
        """Return when a period begins. The first of its windows that ends, ends where the next period begins."""
        return period * self.period * MICROS


class Timing(NamedTuple):
    """When records happened, and which go together.

    Attributes:
      windows: into which they go.
      field: holds a record's time; None for the time its file arrived.
      delay: seconds that windows wait for records.
      lateness: seconds beyond that.
      triggering_frequency: seconds between early manifests; None for none.
    """

    windows: WindowSpec
    field: str | None
    delay: float
    lateness: float
    triggering_frequency: int | None


def event_times_of(options: PipelineOptions) -> EventTimes | None:
    """Return by which times a backfill puts its records into windows, None for one without windows.

    Raises:
      ConfigurationError: a field without windows, windows without a field, or windows that share records.
    """
    given = given_of(options)
    field, window = given.timestamp_field, given.window
    if field is None and window is None:
        return None
    _check_field(field)
    if field is None:
        raise ConfigurationError(
            f"--window={window!r} needs the field that holds a record's time: give --timestamp_field=FIELD"
        )
    if window is None:
        raise ConfigurationError(
            f"--timestamp_field={field!r} needs windows into which records go by it: give --window=fixed:1d"
        )
    windows = parse_windows(window)
    if windows.each_in > 1:
        raise ConfigurationError(
            f"--window={window!r} would write every record {windows.each_in} times: a backfill takes fixed windows, "
            "as fixed:1d"
        )
    return EventTimes(field, windows.size)


def timing_of(options: PipelineOptions) -> Timing:
    """Return when records happened and which go together.

    Raises:
      ConfigurationError: windows that are none, or a field without a name.
    """
    given = given_of(options)
    field, delay = given.timestamp_field, given.watermark_delay
    _check_field(field)
    if delay is None:
        delay = WATERMARK_DELAY if field is not None else 0.0
    windows = parse_windows(DEFAULT_WINDOW if given.window is None else given.window)
    return Timing(windows, field, delay, given.allowed_lateness, given.triggering_frequency)


def _check_field(field: str | None) -> None:
    if field == "":
        raise ConfigurationError("--timestamp_field='' must be the name of a field")


def parse_windows(text: str) -> WindowSpec:
    """Return the windows that a text names.

    Raises:
      ConfigurationError: it names none, or sliding ones whose periods don't share their windows.
    """
    match = _SPEC.fullmatch(text)
    try:
        lengths = [whole_seconds(length) for length in match.groups() if length] if match else []
    except argparse.ArgumentTypeError:
        lengths = []
    if not lengths or max(lengths) > _MAX_WINDOW_SECONDS:
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
    return WindowSpec(size, period)
