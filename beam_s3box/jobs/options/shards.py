"""Options that say what a shard looks like: its format and how large it grows."""

from __future__ import annotations

import argparse

from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box.cli.options import shards as cli_shards
from beam_s3box.formats import Format
from beam_s3box.shards.limits import Limits, StreamLimits


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


def limits_of(options: PipelineOptions, seconds: float | None = StreamLimits.max_seconds, lanes: int = 1) -> Limits:
    """Return the limits of a shard, one for all streams or by pattern.

    Args:
      options: of the job.
      seconds: age of a shard where the file of limits does not say another one.
      lanes: keys that a stream is spread over where the file of limits does not say another number.

    Raises:
      ConfigurationError: a size that is none or out of range, or a file that can't be read or holds anything else.
    """
    return cli_shards.limits_of(options.view_as(ShardOptions), seconds, lanes)
