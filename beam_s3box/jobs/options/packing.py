"""Options that say what bounds a shard of unbounded input beside its size."""

from __future__ import annotations

import argparse
from typing import Final, NamedTuple

from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box.jobs.options.seconds import check_seconds
from beam_s3box.shards.limits import StreamLimits

_SECONDS: Final = StreamLimits.max_seconds


class PackingOptions(PipelineOptions):
    """What bounds a shard beside its size."""

    title = "Shards of unbounded input"

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--max_seconds",
            metavar="SECONDS",
            type=float,
            default=_SECONDS,
            help="age of a shard's first record when the shard is written; 0 for no such limit (default: "
            f"{_SECONDS:g})",
        )
        parser.add_argument(
            "--lanes",
            metavar="N",
            type=int,
            default=1,
            help="workers that share one stream, for streams that one can't keep up with (default: 1)",
        )


class Packing(NamedTuple):
    """What bounds a shard beside its size.

    Attributes:
      seconds: age of its first record when it is written; None for no limit.
      lanes: workers that share one stream.
    """

    seconds: float | None
    lanes: int


BOUNDED: Final = Packing(_SECONDS, 1)
"""Means nothing to bounded input."""


def packing_of(options: PipelineOptions) -> Packing:
    """Return what bounds a shard beside its size.

    Raises:
      ConfigurationError: an age below 0.
    """
    given = options.view_as(PackingOptions)
    check_seconds("max_seconds", given.max_seconds)
    return Packing(given.max_seconds or None, given.lanes)
