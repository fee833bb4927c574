"""`compact`: the small shards of a run become few."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence

from beam_s3box.cli.console.logging import CommandLog
from beam_s3box.cli.console.maintenance import JoinProgress, print_compacted
from beam_s3box.cli.console.progress import shown
from beam_s3box.cli.console.summary import fail_with
from beam_s3box.cli.options.compact import COMPACT_PARSER
from beam_s3box.cli.options.runs import place_of
from beam_s3box.cli.options.s3 import settings_of
from beam_s3box.engine.run_reader import find_run
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.metrics import MemoryMetrics
from beam_s3box.runs.compact import Compacted, Compaction
from beam_s3box.sizes import parse_size

_LOGGER = logging.getLogger(__name__)


def run(arguments: Sequence[str], log: CommandLog) -> int:
    """Run the command and return its exit code."""
    try:
        given = COMPACT_PARSER.parse(arguments)
        log.mask(filter(None, (given.s3_secret_access_key, given.s3_session_token)))
        compacted = _compact(given)
    except S3BoxError as exc:
        return fail_with(2 if isinstance(exc, ConfigurationError) else 1, str(exc), log)
    print_compacted(compacted, is_json=given.json, is_quiet=given.quiet)
    return 0


def _compact(given: argparse.Namespace) -> Compacted:
    most = parse_size(given.max_object_bytes, "--max_object_bytes")
    store, run_id = place_of(given, settings_of)
    counts = MemoryMetrics()
    compaction = Compaction(find_run(store, run_id), most, given.older_than, counts)
    with shown(JoinProgress(counts.totals), _LOGGER, is_quiet=given.quiet):
        return compaction.compact()
