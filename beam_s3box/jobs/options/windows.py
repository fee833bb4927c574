"""Options that say when a record happened, and which records go together."""

from __future__ import annotations

import argparse
from typing import Final, NamedTuple

from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.options.seconds import check_seconds
from beam_s3box.jobs.options.window_spec import WindowSpec, parse_windows

_WATERMARK_DELAY: Final = 60.0


class WindowOptions(PipelineOptions):
    """When a record happened, and which records go together."""

    title = "Windows: records of one time share shards and manifests"

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--window",
            metavar="SPEC",
            default="fixed:60",
            help="fixed:SECONDS, or sliding:SECONDS:PERIOD, where every record is written SECONDS / PERIOD times "
            "(default: fixed:60)",
        )
        parser.add_argument(
            "--timestamp_field",
            metavar="FIELD",
            help="field that holds a record's time: ISO 8601, UTC unless it says otherwise, or a number since 1970 in "
            "seconds, milli-, micro- or nanoseconds; a record without one counts for when its file arrived, "
            "which is when it was last changed (default: all do)",
        )
        parser.add_argument(
            "--watermark_delay",
            metavar="SECONDS",
            type=float,
            help="a window ends for its manifest that much later, so that records that are found up to then are in "
            f"time (default: {_WATERMARK_DELAY:g} with --timestamp_field, else 0)",
        )
        parser.add_argument(
            "--allowed_lateness",
            metavar="SECONDS",
            type=float,
            default=0.0,
            help="after that, for which late records get manifests of their window still; later ones count for when "
            "their file arrived (default: 0)",
        )
        parser.add_argument(
            "--triggering_frequency",
            metavar="SECONDS",
            type=int,
            help="also list what a window has so far that often, whole seconds (default: only at its end)",
        )


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
      ConfigurationError: windows that are none, or a number out of range.
    """
    given = options.view_as(WindowOptions)
    field, delay = given.timestamp_field, given.watermark_delay
    if field == "":
        raise ConfigurationError("--timestamp_field='' must be the name of a field")
    if delay is None:
        delay = _WATERMARK_DELAY if field is not None else 0.0
    check_seconds("watermark_delay", delay)
    check_seconds("allowed_lateness", given.allowed_lateness)
    return Timing(parse_windows(given.window), field, delay, given.allowed_lateness, given.triggering_frequency)
