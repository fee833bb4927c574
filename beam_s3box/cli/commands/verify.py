"""`verify`: everything that a run lists is there and whole."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from beam_s3box.checks import check_whole
from beam_s3box.cli.console.checks import CheckProgress, print_verified
from beam_s3box.cli.console.logging import CommandLog
from beam_s3box.cli.console.progress import shown
from beam_s3box.cli.console.summary import fail_with
from beam_s3box.cli.options import redshift_target
from beam_s3box.cli.options.redshift_copy import reader_of
from beam_s3box.cli.options.redshift_target import connection_of
from beam_s3box.cli.options.runs import place_of
from beam_s3box.cli.options.verify import VERIFY_PARSER, with_settings_of_run
from beam_s3box.engine.run_reader import Run, find_run
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.formats import AVRO
from beam_s3box.metrics import MemoryMetrics
from beam_s3box.records.selector import StreamSelector
from beam_s3box.redshift.load.settings import LoadSettings
from beam_s3box.redshift.sql.copy import CopySettings
from beam_s3box.redshift.sql.table_names import TableTemplate
from beam_s3box.runs.loads import check_tables
from beam_s3box.runs.manifest_patterns import find_manifests, run_of_manifests
from beam_s3box.runs.verify.dead_letters import run_of_input
from beam_s3box.runs.verify.run_check import Checker, Verified

if TYPE_CHECKING:
    from beam_s3box.runs.verify.source import SourceCheck

_LOGGER = logging.getLogger(__name__)
_MAX_THREADS = 256


def run(arguments: Sequence[str], log: CommandLog) -> int:
    """Run the command and return its exit code."""
    try:
        given = VERIFY_PARSER.parse(arguments)
        log.mask(filter(None, (given.s3_secret_access_key, given.s3_session_token)))
        redshift_target.mask_password(log)
        began = time.monotonic()
        verified = _verify(given)
    except S3BoxError as exc:
        return fail_with(2 if isinstance(exc, ConfigurationError) else 1, str(exc), log)
    print_verified(verified, time.monotonic() - began, is_json=given.json, is_quiet=given.quiet)
    return 1 if verified.problems else 0


def _verify(given: argparse.Namespace) -> Verified:
    check_whole("threads", given.threads, 1, _MAX_THREADS)
    if given.manifest and given.run_id:
        raise ConfigurationError(
            "--run_id and --manifest are mutually exclusive: the URL of a manifest has the id of its run"
        )
    if given.manifest and (given.source or given.table):
        raise ConfigurationError("--source and --table compare a whole run: give --run_id, and no --manifest")
    store, run_id = place_of(given)
    counts = MemoryMetrics()
    checker = Checker(given.threads, counts)
    if given.manifest:
        keys = find_manifests(store, given.manifest)
        run = run_of_manifests(store, keys)
        with shown(CheckProgress(counts.totals), _LOGGER, is_quiet=given.quiet):
            return checker.manifests(store, keys, run)
    run = find_run(store, run_id)
    source = _source_of(given, run) if given.source else None
    settings = _load_settings_of(given) if given.table else None
    with shown(CheckProgress(counts.totals, run.record.shards), _LOGGER, is_quiet=given.quiet):
        verified = checker.run(run, source)
        if settings is not None:
            verified.table_rows = check_tables(run, TableTemplate(given.table), settings, verified.problems)
    return verified


def _load_settings_of(given: argparse.Namespace) -> LoadSettings:
    # a load asks for its connection in the same way, and has more options
    no_load = {"redshift_dry_run": False, "redshift_create_tables": False, "redshift_columns": None}
    connection = connection_of(argparse.Namespace(**{**vars(given), **no_load}))
    return LoadSettings(connection=connection, copy=CopySettings("default"), fetch=reader_of(given))


def _source_of(given: argparse.Namespace, run: Run) -> SourceCheck:
    """Return the comparison with the input; only this needs Beam, whose file systems read it.

    Raises:
      ConfigurationError: the run was not written from records that can be compared.
    """
    logging.disable(logging.WARNING)  # Beam warns while it is imported, of what nobody needs here
    try:
        from beam_s3box.jobs.read.source import source_of
    finally:
        logging.disable(logging.NOTSET)
    from beam_s3box.runs.verify.source import SourceCheck

    settings = run_of_input(run).record.settings
    if settings.get("format", "json-lines") == AVRO:
        raise ConfigurationError(
            "--source compares lines of JSON, and this run has written Avro, whose rows are other bytes: leave it out"
        )
    merged = with_settings_of_run(given, settings)
    selector, is_known = (
        StreamSelector(merged.domain, merged.namespace, merged.domain_field, merged.namespace_field),
        True,
    )
    if selector.is_keyed:
        # a function of the pipeline named the streams, or nobody knows what did
        selector, is_known = StreamSelector("any", "any"), False
    has_names = bool(run.record.shard_lists) or not run.record.bounded
    return SourceCheck(run, source_of(merged, settings, selector), by_stream=is_known and has_names)
