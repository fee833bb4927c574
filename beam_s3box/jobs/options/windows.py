"""When a record happened, and which records go together: windows as a command line names them, `fixed:60`."""

from __future__ import annotations

from typing import NamedTuple

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import FixedWindows, NonMergingWindowFn, SlidingWindows

from beam_s3box.cli.options.jobs import WATERMARK_DELAY
from beam_s3box.cli.options.windows import DEFAULT_WINDOW, check_timestamp_field, window_lengths
from beam_s3box.jobs.options.parser import given_of
from beam_s3box.records.event_times import MICROS as MICROS


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


def timing_of(options: PipelineOptions) -> Timing:
    """Return when records happened and which go together.

    Raises:
      ConfigurationError: windows that are none, or a field without a name.
    """
    given = given_of(options)
    field, delay = given.timestamp_field, given.watermark_delay
    check_timestamp_field(field)
    if delay is None:
        delay = WATERMARK_DELAY if field is not None else 0.0
    windows = parse_windows(DEFAULT_WINDOW if given.window is None else given.window)
    return Timing(windows, field, delay, given.allowed_lateness, given.triggering_frequency)


def parse_windows(text: str) -> WindowSpec:
    """Return the windows that a text names.

    Raises:
      ConfigurationError: it names none, or sliding ones whose periods don't share their windows.
    """
    return WindowSpec(*window_lengths(text))
