"""How S3 is reached for reading."""

from __future__ import annotations

from apache_beam.options.pipeline_options import PipelineOptions, S3Options

from beam_s3box.stores.s3_settings import S3Settings
from beam_s3box.transforms.s3_options import settings_with_options


def reading_settings_of(options: PipelineOptions) -> S3Settings:
    """Return the settings of S3 with which Beam reads: as its own options say, and no role."""
    return settings_with_options(S3Settings(), options.view_as(S3Options))
