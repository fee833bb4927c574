"""Options that say how a record names its stream."""

from __future__ import annotations

import argparse

from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box.cli.options import naming as cli_naming
from beam_s3box.records.selector import StreamSelector


class NamingOptions(PipelineOptions):
    """How a record names its stream: the (domain, namespace) pair that records are grouped by."""

    title = cli_naming.NAMING_TITLE

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        cli_naming.add_naming_arguments(parser)


def naming_of(options: PipelineOptions) -> StreamSelector:
    """Return how a record names its stream.

    Raises:
      ConfigurationError: nothing says it, or two options contradict each other.
    """
    return cli_naming.naming_of(options.view_as(NamingOptions))
