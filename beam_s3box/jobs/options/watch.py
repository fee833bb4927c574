"""Options that say how the streaming job looks for files."""

from __future__ import annotations

import argparse
from typing import Final, NamedTuple

from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box.jobs.options.input import INPUT_TITLE
from beam_s3box.jobs.options.seconds import check_seconds

_POLL_INTERVAL: Final = 10.0
_MIN_AGE: Final = 1.0
_FORGET_AFTER: Final = 86_400.0


class WatchOptions(PipelineOptions):
    """How the job looks for files."""

    title = INPUT_TITLE

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--poll_interval",
            metavar="SECONDS",
            type=float,
            default=_POLL_INTERVAL,
            help=f"between two looks for new files (default: {_POLL_INTERVAL:g})",
        )
        parser.add_argument(
            "--min_age",
            metavar="SECONDS",
            type=float,
            default=_MIN_AGE,
            help="since the last change of a local file, before it is read: until then it may grow; objects on S3 "
            f"appear whole (default: {_MIN_AGE:g})",
        )
        parser.add_argument(
            "--forget_after",
            metavar="SECONDS",
            type=float,
            default=_FORGET_AFTER,
            help="since a file has gone, after which one that has its path is another file, and is read; one that is "
            f"still there is never read again (default: {_FORGET_AFTER:.0f}, a day)",
        )
        parser.add_argument(
            "--stop_after",
            metavar="SECONDS",
            type=float,
            help="look for files that long, then write all that is buffered and end; what is younger than --min_age "
            "then is left (default: run for ever)",
        )


class Watching(NamedTuple):
    """How to look for files, in seconds.

    Attributes:
      poll_interval: between two looks.
      min_age: since the last change of a local file, before it is read.
      stop_after: how long to look; None for ever.
      forget_after: since a file was gone, after which its path names another one.
    """

    poll_interval: float
    min_age: float
    stop_after: float | None
    forget_after: float = _FORGET_AFTER


def watching_of(options: PipelineOptions) -> Watching:
    """Return how to look for files.

    Raises:
      ConfigurationError: a number out of range.
    """
    given = options.view_as(WatchOptions)
    check_seconds("poll_interval", given.poll_interval, above=0)
    check_seconds("min_age", given.min_age)
    check_seconds("forget_after", given.forget_after, above=0)
    if given.stop_after is not None:
        check_seconds("stop_after", given.stop_after, above=0)
    return Watching(given.poll_interval, given.min_age, given.stop_after, given.forget_after)
