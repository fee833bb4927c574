"""Options that say which manifests a run writes."""

from __future__ import annotations

import argparse

from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box.cli.options import manifests as cli_manifests
from beam_s3box.engine.manifests import Manifests
from beam_s3box.formats import Format


class ManifestOptions(PipelineOptions):
    """Which manifests for Redshift's COPY a run writes."""

    title = cli_manifests.MANIFESTS_TITLE

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        cli_manifests.add_manifest_arguments(parser)


def manifests_of(options: PipelineOptions, format: Format) -> Manifests | None:
    """Return the manifests to write with shards of this format, None for none.

    Raises:
      ConfigurationError: a number below 0, or manifests for a format that COPY can't load.
    """
    return cli_manifests.manifests_of(options.view_as(ManifestOptions), format)
