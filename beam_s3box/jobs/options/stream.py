"""How the streaming job looks for files, and what bounds its shards besides their size."""

from __future__ import annotations

from typing import Final, NamedTuple

from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box.jobs.options.parser import given_of
from beam_s3box.shards.limits import StreamLimits


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
    forget_after: float = 86_400.0


def watching_of(options: PipelineOptions) -> Watching:
    """Return how to look for files."""
    given = given_of(options)
    return Watching(given.poll_interval, given.min_age, given.stop_after, given.forget_after)


class Packing(NamedTuple):
    """What bounds a shard besides its size.

    Attributes:
      seconds: age of its first record when it is written; None for no limit.
      lanes: workers that share one stream.
    """

    seconds: float | None
    lanes: int


BOUNDED: Final = Packing(StreamLimits.max_seconds, 1)
"""Means nothing to bounded input."""


def packing_of(options: PipelineOptions) -> Packing:
    """Return what bounds a shard besides its size."""
    given = given_of(options)
    return Packing(given.max_seconds or None, given.lanes)
