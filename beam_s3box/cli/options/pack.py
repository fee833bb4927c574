"""The command line of `pack`, and the plan that it describes."""

from __future__ import annotations

import argparse
from typing import Final

from beam_s3box.cli.options.input import PACKINGS_HELP, add_input_format_argument, add_path_columns_argument
from beam_s3box.cli.options.manifests import MANIFESTS, manifests_of
from beam_s3box.cli.options.naming import NAMING, naming_of
from beam_s3box.cli.options.notify import notifier_of
from beam_s3box.cli.options.parser import CommandParser, Section, chosen_of
from beam_s3box.cli.options.reporting import REPORTING
from beam_s3box.cli.options.s3 import S3_REACHING, S3_WRITING, credentials_of, settings_of
from beam_s3box.cli.options.shards import SHARDS, format_of, limits_of
from beam_s3box.cli.options.windows import WINDOWS, event_times_of
from beam_s3box.cli.options.write import WRITE, max_record_bytes_of
from beam_s3box.engine.plan import RunPlan, WriteSpec
from beam_s3box.engine.run_settings import origin_of
from beam_s3box.errors import ConfigurationError
from beam_s3box.records.contents import JSON_KINDS
from beam_s3box.stores import open_store, warn_of_missing_scheme


def add_input_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is read."""
    parser.add_argument(
        "--input",
        metavar="GLOB",
        action="append",
        help=f"local files of JSON to read, {PACKINGS_HELP} (default: standard input)",
    )
    add_input_format_argument(parser, ("auto", *JSON_KINDS))
    add_path_columns_argument(parser)


def add_place_argument(parser: argparse.ArgumentParser) -> None:
    """Add the destination as an argument of its own."""
    parser.add_argument("place", metavar="DESTINATION", nargs="?", help="the same as --destination")


PACK_PARSER: Final = CommandParser(
    "s3box pack",
    "DESTINATION [OPTIONS]",
    "Packs JSON lines from standard input or files into gzip JSON shards by stream, and writes the manifests that "
    "Redshift's COPY loads. SIGTERM, SIGHUP and the first ^C seal what is packed and write its manifests, another ^C "
    "stops at once. Exit codes: 0 every record read is listed or a dead letter; 1 it failed; 2 nothing was started; "
    "130, 143 and 129: interrupted by ^C, SIGTERM, SIGHUP.",
    (
        Section("Input", add_input_arguments),
        Section(WRITE.title, add_place_argument),
        WRITE,
        NAMING,
        WINDOWS,
        SHARDS,
        MANIFESTS,
        S3_WRITING,
        S3_REACHING,
        REPORTING,
    ),
)
"""The command line; `python -m beam_s3box pack` is the same."""


def plan_of(given: argparse.Namespace) -> RunPlan:
    """Return the plan that the options describe; nothing is connected or read but the files of limits and schemas.

    Raises:
      ConfigurationError: an option is missing or can't work.
    """
    if given.place and given.destination:
        raise ConfigurationError(
            f"{given.place!r} and --destination={given.destination!r} are mutually exclusive: give one destination"
        )
    destination = given.place or given.destination
    if not destination:
        raise ConfigurationError("the destination is missing: say where to write, as pack s3://bucket/prefix")
    naming, settings, credentials = naming_of(given), settings_of(given), credentials_of(given)
    format = format_of(given)
    spec = WriteSpec(
        selector=naming,
        format=format,
        manifests=manifests_of(given, format),
        limits=limits_of(given),
        run_id=given.run_id,
        on_bad_record=given.on_bad_record,
        max_dead_letters=given.max_dead_letters,
        max_record_bytes=max_record_bytes_of(given),
        long_values=given.long_values,
        upload_concurrency=given.s3_concurrency,
        key_template=given.key_template,
        times=event_times_of(given),
        on_commit=notifier_of(given),
    )
    store = open_store(warn_of_missing_scheme(destination), settings, credentials)
    return spec.plan(store, origin=origin_of("pack", spec, options=chosen_of(given, PACK_PARSER.actions)))
