"""Options that say which Redshift is meant and how a manifest is loaded: the command `load` and the jobs share them."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NoReturn, get_args

from beam_s3box.cli.console.logging import ToolLog
from beam_s3box.cli.options.parser import PARAMETERS, actions_of, as_flags, option_names
from beam_s3box.cli.options.redshift_copy import add_conversion_arguments, add_inference_arguments
from beam_s3box.errors import ConfigurationError, LoadError
from beam_s3box.redshift import RedshiftConnection, RedshiftDataApi
from beam_s3box.redshift.client.connections import PASSWORD_VARIABLE
from beam_s3box.redshift.sql.target import Mode, OnReplaced
from beam_s3box.stores.urls import split_url

CONNECTION_TITLE = "Redshift: a driver's connection, or the Data API"
LOAD_TITLE = "Load"
JOB_TITLE = "Redshift: load what was written into tables (--redshift_dsn or the Data API)"

REDSHIFT_PARAMETERS: Final[Mapping[str, str]] = {
    **PARAMETERS,
    "dsn": "redshift_dsn",
    "iam_role": "redshift_iam_role",
    "keys": "redshift_keys",
    "mode": "redshift_mode",
    "on_replaced": "redshift_on_replaced",
    "order_by": "redshift_order_by",
    "table": "redshift_table",
}
"""Options of Redshift that are not named as the parameters they set."""


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


def add_role_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that says who reads S3."""
    parser.add_argument(
        "--redshift_iam_role",
        metavar="ARN",
        help="role that reads the bucket, several parted by commas to be assumed one after the other, or default",
    )


def add_template_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the tables of a job."""
    parser.add_argument(
        "--redshift_table",
        metavar="SCHEMA.TABLE",
        help="load what was written into this table; {domain} and {namespace} in it stand for the names of a stream",
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
        "--redshift_on_replaced",
        choices=get_args(OnReplaced),
        default="refuse",
        help="a manifest that was loaded and has been written anew since is refused, passed over, or loaded again, "
        "which upsert and truncate put right (default: refuse)",
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


def connection_of(given: argparse.Namespace | Any) -> Callable[[], Any] | RedshiftDataApi:
    """Return the connection that the options describe; nothing is connected yet.

    A dry run does without, where it has no table's columns to ask for.

    Raises:
      ConfigurationError: none or two of them, or one that can't work.
    """
    ways = [name for name in ("redshift_dsn", "redshift_workgroup", "redshift_cluster") if getattr(given, name)]
    if not ways and given.redshift_dry_run and (given.create_tables or getattr(given, "columns", None)):
        return nowhere
    if len(ways) != 1:
        raise ConfigurationError(
            "give one of --redshift_dsn, for a driver's connection, and --redshift_workgroup or --redshift_cluster, "
            "for the Data API; a dry run does without if --create_tables finds the columns in the shards"
        )
    if given.redshift_dsn:
        _check_dsn(given.redshift_dsn)
        return RedshiftConnection.from_dsn(given.redshift_dsn)
    if not given.redshift_database:
        raise ConfigurationError("--redshift_database is missing: the Data API has to know the database")
    return RedshiftDataApi(
        given.redshift_database,
        workgroup=given.redshift_workgroup,
        cluster=given.redshift_cluster,
        secret_arn=given.redshift_secret_arn,
        db_user=given.redshift_db_user,
        region=given.redshift_region,
    )


def mask_password(log: ToolLog) -> None:
    """Let the log show the password no more, should a driver say it."""
    log.mask(filter(None, [os.environ.get(PASSWORD_VARIABLE)]))


@contextlib.contextmanager
def named_as_options() -> Iterator[None]:
    """Let errors speak of options where they speak of parameters: `--redshift_keys=` for `keys=`."""
    try:
        yield
    except (ConfigurationError, LoadError) as exc:
        raise type(exc)(as_options(str(exc))) from exc


def as_options(message: str) -> str:
    """Return a message about parameters as one about the options that `load` and the jobs have."""
    shared = (add_connection_arguments, add_load_arguments, add_conversion_arguments, add_inference_arguments)
    return as_flags(message, option_names(action for add in shared for action in actions_of(add)), REDSHIFT_PARAMETERS)


def _check_dsn(dsn: str) -> None:
    parts = split_url(dsn)
    if parts is not None and parts.password is not None:
        raise ConfigurationError(
            "--redshift_dsn has a password, which others see in the list of processes, and shells keep: set "
            f"{PASSWORD_VARIABLE} where the load runs, and write redshift://user@host:5439/database"
        )


def nowhere() -> NoReturn:
    """Raise ConfigurationError: there is no connection."""
    raise ConfigurationError("--redshift_dsn is missing, or --redshift_workgroup or --redshift_cluster")
