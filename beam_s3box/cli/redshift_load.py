"""`load`: manifests into a table, each exactly once."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from beam_s3box.cli import redshift_target
from beam_s3box.cli.logging import ToolLog
from beam_s3box.cli.options import PARAMETERS, CommandParser, Section, actions_of, as_flags
from beam_s3box.cli.redshift_sql import COMPUPDATE, STATUPDATE, add_copy_arguments
from beam_s3box.cli.redshift_target import connection_of, words
from beam_s3box.cli.s3 import (
    REACHING_TITLE,
    add_s3_reaching_arguments,
    add_s3_writing_arguments,
    credentials_of,
    settings_of,
)
from beam_s3box.cli.tell import end
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.manifests import Manifest
from beam_s3box.redshift import (
    Column,
    LoadResult,
    RedshiftLoader,
    alter_table_sql,
    create_table_sql,
    infer_columns,
    mapping_of,
)
from beam_s3box.redshift.sources import StoreReader

_OWN_PARAMETERS = {
    **PARAMETERS,
    "dsn": "redshift_dsn",
    "iam_role": "redshift_iam_role",
    "keys": "redshift_keys",
    "mode": "redshift_mode",
    "order_by": "redshift_order_by",
    "table": "redshift_table",
}


def add_manifest_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the manifests and the table."""
    parser.add_argument("manifests", metavar="MANIFEST", nargs="*", help="their URLs: all are loaded, or none")
    parser.add_argument("--redshift_table", metavar="SCHEMA.TABLE", help="the table")


LOAD_PARSER: Final = CommandParser(
    "s3box load",
    "MANIFEST... --redshift_table=SCHEMA.TABLE --redshift_iam_role=ARN --redshift_dsn=URL [OPTIONS]",
    "Loads manifests into a table, each exactly once: what the ledger beside the table knows is left out. All of them "
    "are one transaction. Exit codes: 0 the rows are in the table; 1 nothing of it is; 2 an option can't work.",
    (
        Section("Manifests and table", add_manifest_arguments),
        Section(redshift_target.CONNECTION_TITLE, redshift_target.add_connection_arguments),
        Section(redshift_target.LOAD_TITLE, redshift_target.add_load_arguments),
        Section("COPY", add_copy_arguments),
        Section(REACHING_TITLE, add_s3_reaching_arguments),
    ),
)
"""The command line of `load`."""


def run_load(arguments: Sequence[str], log: ToolLog) -> int:
    """Load the manifests and return the exit code."""
    text = LOAD_PARSER.help_asked(arguments)
    if text is not None:
        print(text, end="")
        return 0
    try:
        given = LOAD_PARSER.parse(arguments)
        log.mask(filter(None, (given.s3_secret_access_key, given.s3_session_token)))
        print(_load(_checked(given)))
    except S3BoxError as exc:
        code = 2 if isinstance(exc, ConfigurationError) else 1
        return end(code, as_flags(str(exc), LOAD_PARSER.names, _OWN_PARAMETERS), log)
    return 0


def told(result: LoadResult) -> str:
    """Return what became of a load, in one line."""
    if result.outcome == "nothing-to-load":
        return f"nothing to load into {result.table}: the manifests list no shards"
    if result.outcome == "already-loaded":
        return f"nothing new for {result.table}: {len(result.skipped)} manifests were loaded before"
    before = f"; {len(result.skipped)} manifests were there before" if result.skipped else ""
    rejected = f", {result.rejected:,} rows rejected" if result.rejected else ""
    return f"{result.records:,} rows of {len(result.loaded)} manifests loaded into {result.table}{rejected}{before}"


def _checked(given: argparse.Namespace) -> argparse.Namespace:
    if not given.manifests:
        raise ConfigurationError("the manifest is missing: give its URL, as s3://bucket/prefix/x.manifest")
    if not given.redshift_table:
        raise ConfigurationError("--redshift_table is missing: give the table as schema.table")
    if given.noload:
        raise ConfigurationError("--noload loads nothing: use copy-sql --noload to have the files checked")
    return given


def _load(given: argparse.Namespace) -> str:
    reader, keys = _reader(given), words(given.redshift_keys) or None
    found = infer_columns([_row_of(url) for url in given.manifests], fetch=reader) if given.create_tables else []
    loader = RedshiftLoader(
        connection_of(given),
        iam_role=given.redshift_iam_role,
        region=given.s3_region_name,
        format=given.format,
        fetch=reader,
        mapping=given.mapping or (mapping_of(found) if found else "auto"),
        truncatecolumns=given.truncatecolumns,
        acceptinvchars=given.acceptinvchars or False,
        maxerror=given.maxerror,
        compupdate=COMPUPDATE[given.compupdate],
        statupdate=STATUPDATE[given.statupdate],
    )
    names = words(given.columns) or [column.name for column in found] or None
    create = [create_table_sql(given.redshift_table, found)] if found else []
    load = (given.manifests, given.redshift_table, given.redshift_mode, keys)
    if given.redshift_dry_run:
        statements = [*create, *loader.sql(*load, order_by=given.redshift_order_by, columns=names)]
        return "\n\n".join(f"{statement};" for statement in statements)
    if found:
        loader.execute(*create)
        for statement in _missing(loader, given.redshift_table, found):
            loader.execute(statement)
    return told(loader.load_all(*load, order_by=given.redshift_order_by, columns=names))


def _missing(loader: RedshiftLoader, table: str, found: list[Column]) -> list[str]:
    """Return the statements that add columns; types that are there stay, and COPY says what does not fit them."""
    there = set(loader.columns(table))
    new = [column for column in found if column.name not in there]
    return alter_table_sql(table, {}, new) if new else []


def _row_of(url: str) -> Manifest:
    """Return a manifest of which nothing but its place is known."""
    return Manifest(None, None, "", 0, url, "", 0, 0, 0, 0)


def _reader(given: argparse.Namespace) -> StoreReader:
    unasked = {action.dest: action.default for action in actions_of(add_s3_writing_arguments)}
    return StoreReader(settings_of(argparse.Namespace(**unasked, **vars(given))), credentials_of(given))
