"""Options that say which manifests a run writes."""

from __future__ import annotations

import argparse
from typing import Final

from beam_s3box.cli.options.parser import Section
from beam_s3box.engine.manifests import Manifests
from beam_s3box.errors import ConfigurationError
from beam_s3box.formats import Format


def add_manifest_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--manifest_count",
        metavar="N",
        type=int,
        help="manifests per stream or run, never more than shards; 0 for none (default: 1, or none where COPY "
        "can't load the format)",
    )
    parser.add_argument(
        "--manifest_scope",
        choices=("stream", "run"),
        default="stream",
        help="manifests for each stream, or over all streams of the run (default: stream)",
    )


MANIFESTS: Final = Section("Manifests: the lists of shards that Redshift's COPY loads", add_manifest_arguments)


def manifests_of(given: argparse.Namespace, format: Format) -> Manifests | None:
    """Return the manifests to write with shards of this format, None for none.

    Raises:
      ConfigurationError: a number below 0, or manifests for a format that COPY can't load.
    """
    count = given.manifest_count
    if count is None:
        count = 1 if format.copy_clause else 0
    if count < 0:
        raise ConfigurationError(f"--manifest_count={count} must be a whole number of at least 0; 0 means none")
    if count and format.copy_clause is None:
        raise ConfigurationError(
            f"--manifest_count={count} and --format={format.name} are mutually exclusive: COPY can't load rows "
            "from it; leave --manifest_count out, or use --format=json-lines"
        )
    return Manifests(given.manifest_scope, count) if count else None
