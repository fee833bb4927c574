"""Options that say which Redshift is meant and how a manifest is loaded: the command `load` and the jobs share them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, get_args

from beam_s3box.errors import ConfigurationError
from beam_s3box.redshift import DataApi, RedshiftConnection
from beam_s3box.redshift.targets import Mode

CONNECTION_TITLE = "Redshift: a driver's connection, or the Data API"
LOAD_TITLE = "Load"


def add_connection_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where Redshift is."""
    parser.add_argument(
        "--redshift_dsn",
        metavar="URL",
        help="redshift://user@host:5439/database, its password in REDSHIFT_PASSWORD; ?iam=true for a login by IAM",
    )
    parser.add_argument(
        "--redshift_workgroup", metavar="NAME", help="workgroup of Redshift Serverless, by the Data API"
    )
    parser.add_argument("--redshift_cluster", metavar="NAME", help="cluster, by the Data API")
    parser.add_argument("--redshift_database", metavar="NAME", help="database, by the Data API")
    parser.add_argument("--redshift_secret_arn", metavar="ARN", help="secret with user and password, for the Data API")
    parser.add_argument("--redshift_db_user", metavar="NAME", help="user that IAM logs in as, for a cluster")
    parser.add_argument(
        "--redshift_region", metavar="REGION", help="of workgroup or cluster, where boto3 finds another"
    )


def add_load_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how manifests come into the table."""
    parser.add_argument(
        "--redshift_mode",
        choices=get_args(Mode),
        default="append",
        help="add the rows, replace all that is there, or replace the rows of the same keys (default: append)",
    )
    parser.add_argument("--redshift_keys", metavar="COLUMN,COLUMN2", help="columns that name a row, for upsert")
    parser.add_argument(
        "--redshift_order_by", metavar="COLUMN", help="for upsert: of several rows the one with the highest value stays"
    )
    parser.add_argument(
        "--create_tables",
        action="store_true",
        default=False,
        help="create the table, or add the columns that it lacks, for the keys and types of the shards",
    )
    parser.add_argument(
        "--redshift_dry_run", action="store_true", default=False, help="print the statements, and load nothing"
    )


def connection_of(given: argparse.Namespace | Any) -> RedshiftConnection | DataApi:
    """Return the connection that the options describe; nothing is connected yet.

    Raises:
      ConfigurationError: none or two of them, or one that can't work.
    """
    by_data_api = [name for name in ("redshift_workgroup", "redshift_cluster") if getattr(given, name)]
    if len(by_data_api) + bool(given.redshift_dsn) != 1:
        raise ConfigurationError(
            "give one of --redshift_dsn, for a driver's connection, and --redshift_workgroup or --redshift_cluster, "
            "for the Data API"
        )
    if given.redshift_dsn:
        return RedshiftConnection.from_dsn(given.redshift_dsn)
    if not given.redshift_database:
        raise ConfigurationError("--redshift_database is missing: the Data API has to know the database")
    return DataApi(
        given.redshift_database,
        workgroup=given.redshift_workgroup,
        cluster=given.redshift_cluster,
        secret_arn=given.redshift_secret_arn,
        db_user=given.redshift_db_user,
        region=given.redshift_region,
    )


def words(text: str | None) -> Sequence[str]:
    """Return the words of a list with commas; none for None."""
    return [word.strip() for word in text.split(",")] if text else []
