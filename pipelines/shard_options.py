"""Options that say what a shard looks like: its format and how large it grows."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping

from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box.cli import shards as cli_shards
from beam_s3box.formats import Format
from beam_s3box.limits import Limits, StreamLimits


class ShardOptions(PipelineOptions):
    """Format and limits of a shard; whichever limit is met first ends it."""

    title = cli_shards.SHARDS_TITLE

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        cli_shards.add_shard_arguments(parser)


def format_of(options: PipelineOptions) -> Format:
    """Return the format of a shard.

    Raises:
      ConfigurationError: Avro without a schema or with a bad one, or options of Avro beside another format.
    """
    return cli_shards.format_of(options.view_as(ShardOptions))


def limits_of(options: PipelineOptions) -> Limits:
    """Return the limits of a shard, one for all streams or by pattern.

    Raises:
      ConfigurationError: a size that is none or out of range, or a file that can't be read or holds anything else.
    """
    return cli_shards.limits_of(options.view_as(ShardOptions))


def limits_with_age(limits: Limits, seconds: float | None) -> Limits:
    """Return limits with an age for the streams that have none of their own in the file of limits."""
    if isinstance(limits, StreamLimits):
        return dataclasses.replace(limits, seconds=seconds)
    if not isinstance(limits, Mapping):
        return limits
    # an entry that says nothing of its own has the default here
    return {
        pattern: dataclasses.replace(one, seconds=seconds) if one.seconds == StreamLimits.seconds else one
        for pattern, one in limits.items()
    }
