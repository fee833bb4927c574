"""`load`: manifests into a table, each exactly once."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from beam_s3box.cli.commands.sql import add_copy_arguments
from beam_s3box.cli.console.loads import describe_load, render_loads
from beam_s3box.cli.console.logging import CommandLog
from beam_s3box.cli.console.output import say, say_text, write_sql
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
from beam_s3box.cli.options.runs import place_of
from beam_s3box.cli.options.s3 import (
    S3_READING,
    credentials_of,
    reading_settings_of,
)
from beam_s3box.engine.manifests import Manifest
from beam_s3box.engine.run_reader import Run, find_run, run_of_url
from beam_s3box.errors import ConfigurationError, ObjectNotFoundError, S3BoxError
from beam_s3box.redshift.load.plan import LoadResult
from beam_s3box.redshift.load.settings import LoadSettings
from beam_s3box.redshift.load.table_loads import LoadFailure, TableLoads, failure_of
from beam_s3box.redshift.sql.copy import CopySettings
from beam_s3box.redshift.sql.copy_options import ANY_CASE, CopyOptions
from beam_s3box.redshift.sql.table_names import TableTemplate
from beam_s3box.redshift.sql.target import Target, merge_of
from beam_s3box.runs.loads import tables_of_run
from beam_s3box.runs.manifest_patterns import MANIFEST_EXTENSION, manifest_urls
from beam_s3box.runs.replaced import compaction_with_what_is_gone
from beam_s3box.stores import open_store


def add_manifest_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the manifests and the table."""
    parser.add_argument(
        "manifests",
        metavar="MANIFEST",
        nargs="*",
        help="URLs of manifests, of folders (with / at the end) or with wildcards: all are loaded, or none; with "
        "--run_id the destination of the run",
    )
    parser.add_argument("--run_id", metavar="ID", help="load all manifests of this run")
    parser.add_argument(
        "--redshift_table",
        metavar="SCHEMA.TABLE",
        help="the table; with --run_id {domain} and {namespace} in it are replaced by a stream's names",
    )
    parser.add_argument("--json", action="store_true", default=False, help="print the result as JSON")


LOAD_PARSER: Final = CommandParser(
    "s3box load",
    "MANIFEST... | URL --run_id=ID --redshift_table=SCHEMA.TABLE --redshift_iam_role=ARN --redshift_dsn=URL [OPTIONS]",
    "Loads manifests into a table, each exactly once: those in the ledger next to the table are skipped. All of them "
    "are one transaction, and those of a run one for each table. Messages name parameters: keys= is --redshift_keys. "
    "Exit codes: 0 the rows are in the tables; 1 none of them is, or of a run those of a table that is named; 2 an "
    "option can't work.",
    (
        Section("Manifests and table", add_manifest_arguments),
        Section(redshift_target.CONNECTION_TITLE, redshift_target.add_connection_arguments),
        Section(redshift_target.LOAD_TITLE, redshift_target.add_load_arguments),
        Section("COPY", add_copy_arguments),
        Section(INFERENCE_TITLE, add_inference_arguments),
        S3_READING,
    ),
)
"""The command line of `load`."""


def run_load(arguments: Sequence[str], log: CommandLog) -> int:
    """Load the manifests and return the exit code."""
    try:
        given = LOAD_PARSER.parse(arguments)
        log.mask(filter(None, (given.s3_secret_access_key, given.s3_session_token)))
        redshift_target.mask_password(log)
        failures = _load(_checked(given))
    except ConfigurationError as exc:
        return fail_with(2, str(exc), log)
    except S3BoxError as exc:
        return fail_with(1, f"{exc}{_where_now(given.run)}", log)
    for failure in failures:
        fail_with(1, f"{failure.message}{_where_now(given.run)}", log)
    return 1 if failures else 0


def _where_now(run: Run | None) -> str:
    """Return where the shards of a run are that can't be loaded any more, as the end of a message; or nothing."""
    try:
        run_id = compaction_with_what_is_gone(run) if run is not None else ""
    except S3BoxError:
        return ""  # what went wrong is said already
    return f"; its shards were replaced by run {run_id}, and are gone: load that run" if run_id else ""


def _checked(given: argparse.Namespace) -> argparse.Namespace:
    given.run = None
    if not given.manifests:
        raise ConfigurationError("the manifest is missing: give its URL, as s3://bucket/prefix/x.manifest")
    if not given.redshift_table:
        raise ConfigurationError("--redshift_table is missing: give the table as schema.table")
    if given.redshift_noload:
        raise ConfigurationError("--redshift_noload loads nothing: use it with copy-sql, to check the files")
    return given


def _load(given: argparse.Namespace) -> list[LoadFailure]:
    """Load, print what was loaded, and return the loads of a run that failed."""
    loads = _loads_of(given)
    is_run = bool(given.run_id) or any(run_of_url(url)[1] for url in given.manifests)
    unnamed: list[LoadFailure] = []
    tables = _manifests_of_run(given, loads, unnamed) if is_run else _manifests_given(given, loads)
    if given.redshift_dry_run:
        statements = [one for table, manifests in tables.items() for one in loads.sql(manifests, table)]
        write_sql("\n\n".join(f"{statement};" for statement in statements))
        return unnamed
    loads.check()  # once: a load itself would try again and again to reach a server that is not there
    results: list[LoadResult | LoadFailure] = [*unnamed]
    for table, manifests in tables.items():
        parts = loads.outcomes(manifests, table) if is_run else [_load_given(loads, manifests, table)]
        for result in parts:
            results.append(result)
            if isinstance(result, LoadResult) and not given.json:
                say(describe_load(result))
    if given.json:
        say_text(render_loads(results))
    return [result for result in results if isinstance(result, LoadFailure)]


def _load_given(loads: TableLoads, manifests: Sequence[Manifest | str], table: Target) -> LoadResult:
    try:
        return loads.load(manifests, table)
    except ObjectNotFoundError as exc:
        if all(str(manifest).endswith(MANIFEST_EXTENSION) for manifest in manifests):
            raise
        raise ObjectNotFoundError(
            f"{exc}; for the URL of a destination add --run_id, and / at the end of it for all manifests below a folder"
        ) from exc


def _manifests_given(given: argparse.Namespace, loads: TableLoads) -> dict[Target, list[Manifest | str]]:
    settings, credentials = reading_settings_of(given), credentials_of(given)
    urls = manifest_urls(given.manifests, lambda root: open_store(root, settings, credentials))
    return {loads.loader.target(TableTemplate(given.redshift_table).target(None, None)): list(urls)}


def _manifests_of_run(
    given: argparse.Namespace, loads: TableLoads, unnamed: list[LoadFailure]
) -> dict[Target, list[Manifest | str]]:
    """Return the manifests of the run by the table that they are loaded into.

    Args:
      given: the options.
      loads: of the command.
      unnamed: takes the manifests of streams whose names make no table name.

    Raises:
      ConfigurationError: there is no such run, it has not finished, or has no manifests.
      StoreError: its record can't be read.
    """
    if len(given.manifests) != 1:
        raise ConfigurationError(
            f"a run is loaded by one URL, of its destination or its record, and not with {len(given.manifests)}"
        )
    given.place = given.manifests[0]
    store, run_id = place_of(given)
    given.run = find_run(store, run_id)
    tables = tables_of_run(given.run, TableTemplate(given.redshift_table), loads.loader)
    unnamed += (failure_of("", [manifest], error) for manifest, error in tables.unnamed)
    return {table: list(manifests) for table, manifests in tables.manifests.items()}


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
