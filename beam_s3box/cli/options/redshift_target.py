"""Options for the connection to Redshift and for the load of a manifest: the command `load` and the jobs share them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any, NoReturn, get_args

from beam_s3box.cli.console.logging import CommandLog
from beam_s3box.cli.options.redshift_copy import add_option
from beam_s3box.errors import ConfigurationError
from beam_s3box.redshift import RedshiftConnection, RedshiftDataApi
from beam_s3box.redshift.client.connections import PASSWORD_VARIABLE
from beam_s3box.redshift.sql.target import Mode, OnReplaced
from beam_s3box.stores.urls import split_url

CONNECTION_TITLE = "Redshift: a driver's connection, or the Data API"
LOAD_TITLE = "Load"
JOB_TITLE = "Redshift: load what was written into tables (by --redshift_dsn or the Data API)"


def add_connection_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where Redshift is."""
    parser.add_argument(
        "--redshift_dsn",
        metavar="URL",
        help="redshift://user@host:5439/database, its password in REDSHIFT_PASSWORD; ?iam=true to log in through IAM",
    )
    parser.add_argument(
        "--redshift_workgroup", metavar="NAME", help="workgroup of Redshift Serverless, for the Data API"
    )
    parser.add_argument("--redshift_cluster", metavar="NAME", help="provisioned cluster, for the Data API")
    parser.add_argument("--redshift_database", metavar="NAME", help="database, for the Data API")
    parser.add_argument("--redshift_secret_arn", metavar="ARN", help="secret with user and password, for the Data API")
    parser.add_argument("--redshift_db_user", metavar="NAME", help="user that IAM logs in as, for a cluster")
    parser.add_argument(
        "--redshift_region",
        metavar="REGION",
        help="of the workgroup or cluster, if it is not the one that boto3 finds",
    )


def add_role_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the role of COPY."""
    parser.add_argument(
        "--redshift_iam_role",
        metavar="ARN",
        help="role that reads the bucket, several separated by commas to be assumed one after the other, or default",
    )


def add_template_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the tables of a job."""
    parser.add_argument(
        "--redshift_table",
        metavar="SCHEMA.TABLE",
        help="load what was written into this table; {domain} and {namespace} in it are replaced by a stream's names",
    )


def add_load_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how manifests come into the table."""
    parser.add_argument(
        "--redshift_mode",
        choices=get_args(Mode),
        default="append",
        help="add the rows, replace all rows of the table, or replace those with the same keys (default: append)",
    )
    parser.add_argument("--redshift_keys", metavar="COLUMN,COLUMN2", help="columns that identify a row, for upsert")
    parser.add_argument(
        "--redshift_order_by", metavar="COLUMN", help="for upsert: the row with the highest value stays; NULL is lowest"
    )
    parser.add_argument(
        "--redshift_on_replaced",
        choices=get_args(OnReplaced),
        default="error",
        help="what to do with a manifest that was loaded and has been written again since: fail, leave the table as it "
        "is, or load it again, with upsert or truncate (default: error)",
    )
    add_option(
        parser,
        "create_tables",
        action="store_true",
        default=False,
        help="create the table, or add its missing columns, from the keys and values in the shards",
    )
    parser.add_argument(
        "--redshift_dry_run", action="store_true", default=False, help="print the statements, and load nothing"
    )


def connection_of(given: argparse.Namespace | Any) -> Callable[[], Any] | RedshiftDataApi:
    """Return the connection that the options describe; nothing is connected yet.

    A dry run needs none, unless it has to ask for the columns of a table.

    Raises:
      ConfigurationError: none or two connections, or one that can't work.
    """
    ways = [name for name in ("redshift_dsn", "redshift_workgroup", "redshift_cluster") if getattr(given, name)]
    if not ways and given.redshift_dry_run and (given.redshift_create_tables or given.redshift_columns):
        return nowhere
    if len(ways) != 1:
        raise ConfigurationError(
            "give one of --redshift_dsn, for a driver's connection, and --redshift_workgroup or --redshift_cluster, "
            "for the Data API; a dry run needs none if --redshift_create_tables finds the columns in the shards"
        )
    if given.redshift_dsn:
        _check_dsn(given.redshift_dsn)
        return RedshiftConnection.from_dsn(given.redshift_dsn)
    if not given.redshift_database:
        raise ConfigurationError("--redshift_database is missing: the Data API needs the name of the database")
    return RedshiftDataApi(
        given.redshift_database,
        workgroup=given.redshift_workgroup,
        cluster=given.redshift_cluster,
        secret_arn=given.redshift_secret_arn,
        db_user=given.redshift_db_user,
        region=given.redshift_region,
    )


def mask_password(log: CommandLog) -> None:
    """Mask the password in the log, in case a driver shows it."""
    log.mask(filter(None, [os.environ.get(PASSWORD_VARIABLE)]))


def _check_dsn(dsn: str) -> None:
    parts = split_url(dsn)
    if parts is not None and parts.password is not None:
        raise ConfigurationError(
            "--redshift_dsn has a password, which others see in the list of processes, and which shells keep: set "
            f"{PASSWORD_VARIABLE} where the load runs, and write redshift://user@host:5439/database"
        )


def nowhere() -> NoReturn:
    """Raise ConfigurationError: there is no connection."""
    raise ConfigurationError("--redshift_dsn is missing, or --redshift_workgroup or --redshift_cluster")
