"""`load`: manifests into a table, each exactly once."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from beam_s3box.cli.commands.sql import add_copy_arguments
from beam_s3box.cli.console.loads import describe_load
from beam_s3box.cli.console.logging import ToolLog
from beam_s3box.cli.console.output import say, say_text, write_sql
from beam_s3box.cli.console.tell import end
from beam_s3box.cli.options import redshift_target
from beam_s3box.cli.options.parser import CommandParser, Section, actions_of, as_flags
from beam_s3box.cli.options.redshift_copy import INFERENCE_TITLE, add_inference_arguments, copy_options_of, keys, words
from beam_s3box.cli.options.redshift_target import REDSHIFT_PARAMETERS, connection_of, named_as_options
from beam_s3box.cli.options.s3 import (
    REACHING_TITLE,
    add_s3_reaching_arguments,
    add_s3_writing_arguments,
    credentials_of,
    settings_of,
)
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.redshift.load.table_loads import TableCreation, TableLoads
from beam_s3box.redshift.manifests import StoreReader
from beam_s3box.redshift.sql.table_names import TableTemplate


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
        Section(INFERENCE_TITLE, add_inference_arguments),
        Section(REACHING_TITLE, add_s3_reaching_arguments),
    ),
)
"""The command line of `load`."""


def run_load(arguments: Sequence[str], log: ToolLog) -> int:
    """Load the manifests and return the exit code."""
    text = LOAD_PARSER.help_asked(arguments)
    if text is not None:
        say_text(text)
        return 0
    try:
        given = LOAD_PARSER.parse(arguments)
        log.mask(filter(None, (given.s3_secret_access_key, given.s3_session_token)))
        redshift_target.mask_password(log)
        _load(_checked(given))
    except S3BoxError as exc:
        code = 2 if isinstance(exc, ConfigurationError) else 1
        return end(code, as_flags(str(exc), LOAD_PARSER.names, REDSHIFT_PARAMETERS), log)
    return 0


def _checked(given: argparse.Namespace) -> argparse.Namespace:
    if not given.manifests:
        raise ConfigurationError("the manifest is missing: give its URL, as s3://bucket/prefix/x.manifest")
    if not given.redshift_table:
        raise ConfigurationError("--redshift_table is missing: give the table as schema.table")
    if given.noload:
        raise ConfigurationError("--noload loads nothing: use copy-sql --noload to have the files checked")
    return given


def _load(given: argparse.Namespace) -> None:
    with named_as_options():
        target = TableTemplate(given.redshift_table).target(None, None)
        loads = _loads_of(given)
        loads.loader().target(target)
        if given.redshift_dry_run:
            write_sql("\n\n".join(f"{statement};" for statement in loads.sql(given.manifests, target)))
            return
        loads.check()  # once: a load itself would try again and again to reach a server that is not there
        say(describe_load(loads.load(given.manifests, target)))


def _loads_of(given: argparse.Namespace) -> TableLoads:
    return TableLoads(
        connection=connection_of(given),
        mode=given.redshift_mode,
        keys=tuple(words(given.redshift_keys)),
        order_by=given.redshift_order_by,
        columns=tuple(words(given.columns)) or None,
        made=TableCreation(given.sample, keys(given.exclude), given.ignore_case) if given.create_tables else None,
        settings={
            "iam_role": given.redshift_iam_role,
            "region": given.s3_region_name,
            "format": given.format,
            "fetch": _reader(given),
            "on_replaced": given.redshift_on_replaced,
            **copy_options_of(given, given.mapping),
        },
    )


def _reader(given: argparse.Namespace) -> StoreReader:
    unasked = {action.dest: action.default for action in actions_of(add_s3_writing_arguments)}
    return StoreReader(settings_of(argparse.Namespace(**unasked, **vars(given))), credentials_of(given))
