"""`copy-sql` and `create-table`: the statements for a manifest, printed. Nothing is sent to Redshift."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Final

from beam_s3box.cli.console.logging import CommandLog
from beam_s3box.cli.console.output import write_sql
from beam_s3box.cli.console.summary import fail_with
from beam_s3box.cli.options.parser import CommandParser, Section
from beam_s3box.cli.options.redshift_copy import (
    add_conversion_arguments,
    add_inference_arguments,
    add_option,
    copy_options_of,
    creation_of,
    reader_of,
    words,
)
from beam_s3box.cli.options.redshift_target import add_role_argument
from beam_s3box.cli.options.s3 import S3_READING
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.formats import AVRO, FORMATS, format_named
from beam_s3box.redshift import Column, copy_sql, create_table_sql, mapping_of
from beam_s3box.redshift.load.ledger import LedgerName
from beam_s3box.redshift.manifests import check_format, read_manifests
from beam_s3box.redshift.schema.manifest_columns import columns_of_manifests
from beam_s3box.redshift.sql.target import target_of

_BY_KEY = (None, "auto", "auto ignorecase")
"""Mappings with which the keys name the columns."""


def add_target_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the manifest and the table."""
    parser.add_argument(
        "manifest", metavar="MANIFEST", nargs="?", help="its URL, such as s3://bucket/prefix/x.manifest"
    )
    parser.add_argument("--redshift_table", metavar="SCHEMA.TABLE", help="the table")


def add_copy_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of COPY."""
    add_role_argument(parser)
    add_conversion_arguments(parser)
    loadable = [*(name for name, format in FORMATS.items() if format.copy_clause), AVRO]
    parser.add_argument(
        "--format", choices=loadable, default=loadable[0], help=f"of the shards (default: {loadable[0]})"
    )
    add_option(parser, "noload", action="store_true", default=False, help="check the files, and load nothing")


def add_table_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of CREATE TABLE."""
    styles = ("auto", "even", "all", "key")
    add_option(parser, "dist_style", choices=styles, help="(default: what Redshift chooses)")
    add_option(parser, "dist_key", metavar="COLUMN", help="column by which rows are distributed")
    add_option(parser, "sort_keys", metavar="COLUMN,COLUMN2", help="columns by which rows are sorted")


COPY_PARSER: Final = CommandParser(
    "s3box copy-sql",
    "MANIFEST --redshift_table=SCHEMA.TABLE --redshift_iam_role=ARN [OPTIONS]",
    "Prints the COPY that loads a manifest. Without --redshift_columns the shards are read for their keys. With "
    "--s3_region_name the COPY names the bucket's region. Exit codes: 0 printed; 1 the shards can't be read; 2 an "
    "option can't work.",
    (
        Section("Manifest and table", add_target_arguments),
        Section("COPY", add_copy_arguments),
        Section("Columns from the shards", add_inference_arguments),
        S3_READING,
    ),
)
"""The command line of `copy-sql`."""

CREATE_PARSER: Final = CommandParser(
    "s3box create-table",
    "MANIFEST --redshift_table=SCHEMA.TABLE [OPTIONS]",
    "Prints the CREATE TABLE for the records of a manifest, whose shards are read for their keys and types. Exit "
    "codes: 0 printed; 1 the shards can't be read; 2 an option can't work.",
    (
        Section("Manifest and table", add_target_arguments),
        Section("CREATE TABLE", add_table_arguments),
        Section("Columns from the shards", add_inference_arguments),
        S3_READING,
    ),
)
"""The command line of `create-table`."""


def run_copy_sql(arguments: Sequence[str], log: CommandLog) -> int:
    """Print the COPY and return the exit code."""
    return _run(COPY_PARSER, _copy_sql, arguments, log)


def run_create_table(arguments: Sequence[str], log: CommandLog) -> int:
    """Print the CREATE TABLE and return the exit code."""
    return _run(CREATE_PARSER, _create_table_sql, arguments, log)


def _run(
    parser: CommandParser,
    statement_of: Callable[[argparse.Namespace], str],
    arguments: Sequence[str],
    log: CommandLog,
) -> int:
    try:
        given = parser.parse(arguments)
        log.mask(filter(None, (given.s3_secret_access_key, given.s3_session_token)))
        write_sql(f"{statement_of(_checked(given))};")
    except S3BoxError as exc:
        code = 2 if isinstance(exc, ConfigurationError) else 1
        return fail_with(code, str(exc), log)
    return 0


def _checked(given: argparse.Namespace) -> argparse.Namespace:
    if not given.manifest:
        raise ConfigurationError("the manifest is missing: give its URL, as s3://bucket/prefix/x.manifest")
    if not given.redshift_table:
        raise ConfigurationError("--redshift_table is missing: give the table as schema.table")
    LedgerName().check_target(target_of(given.redshift_table, "public"))
    return given


def _copy_sql(given: argparse.Namespace) -> str:
    names, mapping = words(given.redshift_columns), given.redshift_mapping
    if not names and mapping in _BY_KEY:
        columns = _columns_of(given, given.format)
        names, mapping = [column.name for column in columns], _check_mapping(mapping, mapping_of(columns))
    options = copy_options_of(given, mapping)
    options["noload"] = given.redshift_noload
    return copy_sql(
        given.manifest,
        given.redshift_table,
        columns=names,
        iam_role=given.redshift_iam_role,
        region=given.s3_region_name,
        format=given.format,
        **options,
    )


def _create_table_sql(given: argparse.Namespace) -> str:
    return create_table_sql(
        given.redshift_table,
        _columns_of(given),
        dist_style=given.redshift_dist_style,
        dist_key=given.redshift_dist_key,
        sort_keys=words(given.redshift_sort_keys),
    )


def _columns_of(given: argparse.Namespace, format: str | None = None) -> list[Column]:
    """Return the columns of the shards that the manifest lists."""
    fetch = reader_of(given)
    listed = read_manifests([given.manifest], fetch, needs_counts=False)
    if format is not None:
        check_format(format_named(format, finds_schema=True), listed)
    return columns_of_manifests(listed, fetch, **vars(creation_of(given)))


def _check_mapping(given: str | None, needed: str) -> str:
    if given == "auto" and needed != given:
        raise ConfigurationError(
            "--redshift_mapping=auto would leave columns empty, without a word: keys have capital letters, and names "
            "of columns have none; leave --redshift_mapping out"
        )
    return given or needed
