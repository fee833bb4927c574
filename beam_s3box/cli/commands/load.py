"""`load`: manifests into a table, each exactly once."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from beam_s3box.cli.commands.sql import add_copy_arguments
from beam_s3box.cli.console.loads import describe_load
from beam_s3box.cli.console.logging import CommandLog
from beam_s3box.cli.console.output import say, write_sql
from beam_s3box.cli.console.summary import fail_with
from beam_s3box.cli.options import redshift_target
from beam_s3box.cli.options.parser import CommandParser, Section
from beam_s3box.cli.options.redshift_copy import (
    INFERENCE_TITLE,
    add_inference_arguments,
    copy_options_of,
    creation_of,
    reader_of,
    words,
)
from beam_s3box.cli.options.redshift_target import connection_of
from beam_s3box.cli.options.s3 import REACHING_TITLE, add_s3_reaching_arguments
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.redshift.load.settings import LoadSettings
from beam_s3box.redshift.load.table_loads import TableLoads
from beam_s3box.redshift.sql.copy import CopySettings
from beam_s3box.redshift.sql.copy_options import ANY_CASE, CopyOptions
from beam_s3box.redshift.sql.table_names import TableTemplate
from beam_s3box.redshift.sql.target import merge_of


def add_manifest_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the manifests and the table."""
    parser.add_argument("manifests", metavar="MANIFEST", nargs="*", help="URLs of manifests: all are loaded, or none")
    parser.add_argument("--redshift_table", metavar="SCHEMA.TABLE", help="the table")


LOAD_PARSER: Final = CommandParser(
    "s3box load",
    "MANIFEST... --redshift_table=SCHEMA.TABLE --redshift_iam_role=ARN --redshift_dsn=URL [OPTIONS]",
    "Loads manifests into a table, each exactly once: those in the ledger next to the table are skipped. All of them "
    "are one transaction. Messages name parameters: keys= is --redshift_keys. Exit codes: 0 the rows are in the table; "
    "1 none of them is; 2 an option can't work.",
    (
        Section("Manifests and table", add_manifest_arguments),
        Section(redshift_target.CONNECTION_TITLE, redshift_target.add_connection_arguments),
        Section(redshift_target.LOAD_TITLE, redshift_target.add_load_arguments),
        Section("COPY", add_copy_arguments),
        Section(INFERENCE_TITLE, add_inference_arguments),
        Section(REACHING_TITLE, add_s3_reaching_arguments),
    ),
)
"""The command line of `load`."""


def run_load(arguments: Sequence[str], log: CommandLog) -> int:
    """Load the manifests and return the exit code."""
    try:
        given = LOAD_PARSER.parse(arguments)
        log.mask(filter(None, (given.s3_secret_access_key, given.s3_session_token)))
        redshift_target.mask_password(log)
        _load(_checked(given))
    except S3BoxError as exc:
        code = 2 if isinstance(exc, ConfigurationError) else 1
        return fail_with(code, str(exc), log)
    return 0


def _checked(given: argparse.Namespace) -> argparse.Namespace:
    if not given.manifests:
        raise ConfigurationError("the manifest is missing: give its URL, as s3://bucket/prefix/x.manifest")
    if not given.redshift_table:
        raise ConfigurationError("--redshift_table is missing: give the table as schema.table")
    if given.redshift_noload:
        raise ConfigurationError("--redshift_noload loads nothing: use it with copy-sql, to check the files")
    return given


def _load(given: argparse.Namespace) -> None:
    loads = _loads_of(given)
    target = loads.loader.target(TableTemplate(given.redshift_table).target(None, None))
    if given.redshift_dry_run:
        write_sql("\n\n".join(f"{statement};" for statement in loads.sql(given.manifests, target)))
        return
    loads.check()  # once: a load itself would try again and again to reach a server that is not there
    say(describe_load(loads.load(given.manifests, target)))


def _loads_of(given: argparse.Namespace) -> TableLoads:
    options = CopyOptions.of({**ANY_CASE, **copy_options_of(given, given.redshift_mapping)})
    return TableLoads(
        settings=LoadSettings(
            connection=connection_of(given),
            copy=CopySettings(
                given.redshift_iam_role, region=given.s3_region_name, format=given.format, options=options
            ),
            on_replaced=given.redshift_on_replaced,
            fetch=reader_of(given),
        ),
        merge=merge_of(given.redshift_mode, words(given.redshift_keys), given.redshift_order_by),
        columns=tuple(words(given.redshift_columns)) or None,
        creation=creation_of(given) if given.redshift_create_tables else None,
    )
