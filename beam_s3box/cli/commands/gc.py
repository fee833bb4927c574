"""`gc`: what belongs to nobody is removed."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence

from beam_s3box.cli.console.logging import CommandLog
from beam_s3box.cli.console.maintenance import CollectProgress, print_freed
from beam_s3box.cli.console.progress import shown
from beam_s3box.cli.console.summary import fail_with
from beam_s3box.cli.options.gc import GC_PARSER
from beam_s3box.cli.options.runs import place_of
from beam_s3box.cli.options.s3 import settings_of
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.metrics import MemoryMetrics
from beam_s3box.runs.gc.collector import Collector
from beam_s3box.runs.gc.freed import Freed

_LOGGER = logging.getLogger(__name__)


def run(arguments: Sequence[str], log: CommandLog) -> int:
    """Run the command and return its exit code."""
    try:
        given = GC_PARSER.parse(arguments)
        log.mask(filter(None, (given.s3_secret_access_key, given.s3_session_token)))
        freed = _collect(given)
    except S3BoxError as exc:
        return fail_with(2 if isinstance(exc, ConfigurationError) else 1, str(exc), log)
    print_freed(freed, is_json=given.json, is_quiet=given.quiet)
    return 1 if freed.failed_count else 0


def _collect(given: argparse.Namespace) -> Freed:
    store, run_id = place_of(given, settings_of)
    if run_id is not None:
        raise ConfigurationError(f"{given.place!r} is the record of a run: give the destination, as s3://bucket/prefix")
    counts = MemoryMetrics()
    collector = Collector(store, given.older_than, given.dry_run, tuple(given.dead_run), counts=counts)
    with shown(CollectProgress(counts.totals), _LOGGER, is_quiet=given.quiet):
        return collector.collect()
