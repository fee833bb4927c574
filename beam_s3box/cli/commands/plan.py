"""`plan`: what a run will write, from a sample of its input."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence

from beam_s3box.cli.console.estimates import estimate_json, render_estimate
from beam_s3box.cli.console.logging import CommandLog
from beam_s3box.cli.console.output import say_text, width_of_output
from beam_s3box.cli.console.progress import shown
from beam_s3box.cli.console.reading import ReadingProgress
from beam_s3box.cli.console.summary import fail_with
from beam_s3box.cli.options.plan import PLAN_PARSER, plan_of, prices_of
from beam_s3box.cli.options.s3 import credentials_of, input_settings_of
from beam_s3box.engine.plan import RunPlan
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.metrics import MemoryMetrics
from beam_s3box.records.contents import skipped_note
from beam_s3box.records.lines import longest_line
from beam_s3box.runs.estimate.advice import alternatives, warnings
from beam_s3box.runs.estimate.arrival import Arrival
from beam_s3box.runs.estimate.prices import Prices
from beam_s3box.runs.estimate.run_estimate import estimate_run
from beam_s3box.runs.estimate.trial import Trial
from beam_s3box.sizes import parse_size

_LOGGER = logging.getLogger(__name__)


def run(arguments: Sequence[str], log: CommandLog) -> int:
    """Estimate a run, print it, and return the exit code."""
    try:
        given = PLAN_PARSER.parse(arguments)
        log.mask(filter(None, (given.s3_secret_access_key, given.s3_session_token)))
        plan, prices = plan_of(given), prices_of(given)
        sample_bytes = parse_size(given.sample_bytes, "sample_bytes")
        if not given.input:
            raise ConfigurationError("--input is missing: say what to read, as --input='data/*.jsonl'")
    except S3BoxError as exc:
        return fail_with(2, str(exc), log)
    try:
        text = _estimate(given, plan, prices, sample_bytes)
    except S3BoxError as exc:
        return fail_with(2 if isinstance(exc, ConfigurationError) else 1, str(exc), log)
    say_text(text)
    return 0


def _estimate(given: argparse.Namespace, plan: RunPlan, prices: Prices, sample_bytes: int) -> str:
    # the readers of jobs bring Beam with them
    from beam_s3box.jobs.run.logging import import_note_silenced

    with import_note_silenced():
        from beam_s3box.jobs.options.csv import csv_dialect_of
        from beam_s3box.jobs.options.windows import parse_windows
        from beam_s3box.jobs.read.files import Reading
        from beam_s3box.jobs.read.find import find_input
        from beam_s3box.jobs.read.input_files import S3Access
        from beam_s3box.jobs.read.rows import RowOptions
        from beam_s3box.jobs.read.sample import sample_input

    windows = parse_windows(given.window)
    arrival = None
    if given.arrives_in is not None:
        arrival = Arrival(
            seconds=given.arrives_in,
            window=windows.size,
            slide=windows.period,
            max_seconds=given.max_seconds or None,
            delay=given.watermark_delay,
            triggering_frequency=given.triggering_frequency,
            lanes=given.lanes,
        )
    access = S3Access(input_settings_of(given), credentials_of(given))
    line_bytes = longest_line(plan.rules.max_bytes)
    rows = RowOptions(csv_dialect_of(given), line_bytes)
    reading = Reading(access, given.input_format, line_bytes, rows, given.path_columns)
    skipped: list[str] = []
    files = list(find_input(given.input, access, skipped=skipped.append))
    if not files:
        raise ConfigurationError(f"input: {skipped_note(skipped)}")
    counts = MemoryMetrics()
    trial = Trial(plan, counts)
    with shown(ReadingProgress(counts.totals), _LOGGER, is_quiet=given.json):
        sample = sample_input(files, reading, trial, sample_bytes, counts)
    estimate = estimate_run(sample.trial, plan, exact=sample.exact, arrival=arrival, prices=prices)
    others = alternatives(sample.trial, plan, estimate, arrival, prices)
    advice = list(warnings(estimate, arrival))
    if given.json:
        return estimate_json(sample, estimate, others, advice, prices)
    return render_estimate(sample, estimate, others, advice, prices, width_of_output())
