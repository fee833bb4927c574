"""`verify`: everything that a run lists is there and whole."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Sequence

from beam_s3box.checks import check_whole
from beam_s3box.cli.console.checks import CheckProgress, print_verified
from beam_s3box.cli.console.logging import CommandLog
from beam_s3box.cli.console.progress import shown
from beam_s3box.cli.console.summary import fail_with
from beam_s3box.cli.options.runs import place_of
from beam_s3box.cli.options.verify import VERIFY_PARSER
from beam_s3box.engine.run_reader import find_run
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.metrics import MemoryMetrics
from beam_s3box.runs.manifest_patterns import find_manifests, run_of_manifests
from beam_s3box.runs.verify.run_check import Checker, Verified

_LOGGER = logging.getLogger(__name__)
_MAX_THREADS = 256


def run(arguments: Sequence[str], log: CommandLog) -> int:
    """Run the command and return its exit code."""
    try:
        given = VERIFY_PARSER.parse(arguments)
        log.mask(filter(None, (given.s3_secret_access_key, given.s3_session_token)))
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
    store, run_id = place_of(given)
    counts = MemoryMetrics()
    checker = Checker(given.threads, counts)
    if given.manifest:
        keys = find_manifests(store, given.manifest)
        run = run_of_manifests(store, keys)
        with shown(CheckProgress(counts.totals), _LOGGER, is_quiet=given.quiet):
            return checker.manifests(store, keys, run)
    run = find_run(store, run_id)
    with shown(CheckProgress(counts.totals, run.record.shards), _LOGGER, is_quiet=given.quiet):
        return checker.run(run)
