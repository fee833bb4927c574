"""`redrive`: dead letters of a run, tried again after a fix, each once."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence

from beam_s3box.cli.console.logging import CommandLog
from beam_s3box.cli.console.progress import Progress, shown
from beam_s3box.cli.console.redriven import print_redriven
from beam_s3box.cli.console.summary import fail_with
from beam_s3box.cli.options.notify import notify_secrets
from beam_s3box.cli.options.redrive import REDRIVE_PARSER, redrive_of
from beam_s3box.errors import ConfigurationError, S3BoxError

_LOGGER = logging.getLogger(__name__)


def run(arguments: Sequence[str], log: CommandLog) -> int:
    """Run the command and return its exit code."""
    try:
        return _redrive(REDRIVE_PARSER.parse(arguments), log)
    except S3BoxError as exc:
        if log.shows_tracebacks:
            _LOGGER.error("the redrive failed", exc_info=True)
        return fail_with(2 if isinstance(exc, ConfigurationError) else 1, str(exc), log)


def _redrive(given: argparse.Namespace, log: CommandLog) -> int:
    log.set_level(given.log_level, is_quiet=given.quiet)
    log.set_format(given.log_format)
    log.mask(filter(None, (given.s3_secret_access_key, given.s3_session_token, *notify_secrets(given))))
    redrive = redrive_of(given)
    with shown(Progress(redrive.counts.totals), _LOGGER, is_quiet=given.quiet):
        redriven = redrive.do()
    wrong = print_redriven(redrive.run, redriven, is_json=given.json, is_quiet=given.quiet)
    return fail_with(1, wrong, log) if wrong else 0
