"""Options that load what a job writes into Redshift, and the step that they describe."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from typing import NamedTuple, TypeGuard

from apache_beam.options.pipeline_options import PipelineOptions, S3Options

from beam_s3box.cli.console.loads import describe_load
from beam_s3box.cli.console.summary import AlreadyFinished
from beam_s3box.cli.options import redshift_copy, redshift_target
from beam_s3box.cli.options.jobs import add_redshift_arguments
from beam_s3box.cli.options.parser import actions_of
from beam_s3box.cli.options.s3 import settings_of
from beam_s3box.engine.run_reader import find_run
from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.options.parser import given_of
from beam_s3box.jobs.options.write import Write
from beam_s3box.jobs.run.logging import JobLog
from beam_s3box.jobs.totals.loads import WriteLoads
from beam_s3box.redshift.load.table_loads import LoadFailure, TableLoads
from beam_s3box.redshift.sql.table_names import TableTemplate
from beam_s3box.runs.loads import tables_of_run
from beam_s3box.transforms.redshift import CopyToRedshift
from beam_s3box.transforms.result import WriteToS3BoxResult
from beam_s3box.transforms.s3_options import credentials_of


class Redshift(NamedTuple):
    """The loads of a job.

    Attributes:
      copy: the step that loads.
      loads: the same for the launcher, which checks it first, and prints the statements of a dry run.
      table: names the tables.
      is_dry_run: whether the launcher prints the statements, and nothing is loaded.
    """

    copy: CopyToRedshift
    loads: TableLoads
    table: TableTemplate
    is_dry_run: bool


def redshift_of(options: PipelineOptions, write: Write, log: JobLog, *, has_end: bool = True) -> Redshift | None:
    """Return the loads that the options describe; nothing is connected yet.

    Args:
      options: of the job.
      write: what is written.
      log: shows no password.
      has_end: whether the job ends, and then reports what was loaded; one that does not end fails with a load.

    Raises:
      ConfigurationError: an option that can't work, or options of Redshift without a table.
    """
    redshift_target.mask_password(log)
    given = given_of(options)
    if not given.redshift_table:
        _check_unasked(given)
        return None
    if given.redshift_dry_run and not has_end:
        raise ConfigurationError("--redshift_dry_run needs a job that ends: give --stop_after, or leave it out")
    table = TableTemplate(given.redshift_table)
    _check_write(options, write, table)
    s3 = settings_of(given)
    copy = CopyToRedshift(
        given.redshift_table,
        connection=redshift_target.connection_of(given),
        iam_role=given.redshift_iam_role,
        region=s3.region,
        format=given.format,
        mode=given.redshift_mode,
        keys=redshift_copy.words(given.redshift_keys),
        order_by=given.redshift_order_by,
        columns=redshift_copy.words(given.redshift_columns) or None,
        create_tables=given.redshift_create_tables,
        on_replaced=given.redshift_on_replaced,
        on_failure="emit" if has_end else "error",
        s3=s3,
        **vars(redshift_copy.creation_of(given)),
        **redshift_copy.copy_options_of(given, given.redshift_mapping),
    )
    loads = copy.loads.reaching(s3, credentials_of(options.view_as(S3Options)))
    return Redshift(copy, loads, table, given.redshift_dry_run)


def loads_any(redshift: Redshift | None) -> TypeGuard[Redshift]:
    """Return whether the pipeline loads."""
    return redshift is not None and not redshift.is_dry_run


def check_redshift(redshift: Redshift | None) -> None:
    """Raise the error that loads would raise, as far as it is known before there are manifests.

    Raises:
      LoadError: Redshift can't be reached, rejects the login, or has no such table.
    """
    if not loads_any(redshift):
        return
    redshift.loads.check()
    if redshift.table.is_constant and redshift.loads.creation is None:
        redshift.loads.loader.columns(redshift.table.target(None, None))


@contextlib.contextmanager
def loading_if_finished(redshift: Redshift | None) -> Iterator[None]:
    """Load what a run that had finished before has not loaded: the job that wrote it may have failed with its loads.

    Raises:
      AlreadyFinished: it says what was loaded.
      S3BoxError: Redshift can't be reached, or an option can't work.
    """
    try:
        yield
    except AlreadyFinished as finished:
        if loads_any(redshift):
            check_redshift(redshift)
            _load_finished(redshift, finished)
        raise


def _load_finished(redshift: Redshift, finished: AlreadyFinished) -> None:
    run = find_run(finished.store, finished.record.run_id)
    if next(run.manifests(), None) is None:
        return
    tables = tables_of_run(run, redshift.table, redshift.loads.loader)
    finished.failed += [str(error) for _, error in tables.unnamed]
    for table, manifests in tables.manifests.items():
        for result in redshift.loads.outcomes(manifests, table):
            if isinstance(result, LoadFailure):
                finished.failed.append(result.message)
            else:
                finished.done.append(describe_load(result))


def copy_to_redshift(redshift: Redshift | None, write: Write, result: WriteToS3BoxResult, *, has_end: bool) -> None:
    """Add the steps that load the manifests of a write, and that sum up the loads if the job ends."""
    if not loads_any(redshift):
        return
    copied = result.manifests | "CopyToRedshift" >> redshift.copy
    if has_end:
        tuple(copied) | "WriteLoads" >> WriteLoads(write.store, write.transform.claim)


def _check_unasked(given: argparse.Namespace) -> None:
    """Raise ConfigurationError for an option that has no effect without a table."""
    for action in actions_of(add_redshift_arguments):
        if getattr(given, action.dest) != action.default:
            raise ConfigurationError(
                f"--{action.dest} has no effect without --redshift_table: give the table as schema.table"
            )


def _check_write(options: PipelineOptions, write: Write, table: TableTemplate) -> None:
    """Raise ConfigurationError if nothing is written that COPY could load."""
    if not write.has_manifests:
        raise ConfigurationError("--redshift_table needs manifests: leave --manifest_count=0 out")
    if not write.store.root.startswith("s3://"):
        raise ConfigurationError(
            f"--redshift_table needs --destination=s3://bucket/prefix, not {write.store.root}: COPY reads from S3 only"
        )
    if not table.is_constant and given_of(options).manifest_scope == "run":
        raise ConfigurationError(
            "--redshift_table names a table for each stream, and manifests of --manifest_scope=run list the shards of "
            "several: leave that out, or name one table"
        )
