"""Options of S3 that Beam's own `--s3_*` options lack, and settings made from both."""

from __future__ import annotations

import argparse

from apache_beam.options.pipeline_options import PipelineOptions, S3Options

from beam_s3box.cli.options import s3 as cli_s3
from beam_s3box.stores.s3_settings import S3Settings
from beam_s3box.transforms.s3_options import settings_with_options


class S3WriteOptions(PipelineOptions):
    """How objects are written to S3; how it is reached and with which keys, Beam's S3Options say."""

    title = cli_s3.WRITING_TITLE

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        cli_s3.add_s3_writing_arguments(parser)


def settings_of(options: PipelineOptions) -> S3Settings:
    """Return the settings of S3 for writing, from Beam's options and ours.

    Raises:
      ConfigurationError: a value that can't work.
    """
    own = cli_s3.writing_settings_of(options.view_as(S3WriteOptions))
    return settings_with_options(own, options.view_as(S3Options))


def reading_settings_of(options: PipelineOptions) -> S3Settings:
    """Return the settings of S3 with which Beam reads: as its own options say, and no role."""
    return settings_with_options(S3Settings(), options.view_as(S3Options))
