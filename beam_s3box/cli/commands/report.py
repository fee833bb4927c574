"""`report`: what a run has written, as a table, as JSON and as a page."""

from __future__ import annotations

import argparse
import datetime
import logging
from collections.abc import Sequence

from beam_s3box import __version__
from beam_s3box.cli.console.figures import figures_json, render_figures
from beam_s3box.cli.console.logging import CommandLog
from beam_s3box.cli.console.output import say, say_text, width_of_output
from beam_s3box.cli.console.progress import shown
from beam_s3box.cli.console.reading import ReadingProgress
from beam_s3box.cli.console.summary import fail_with
from beam_s3box.cli.options.report import REPORT_PARSER
from beam_s3box.cli.options.reporting import check_file
from beam_s3box.cli.options.runs import place_of
from beam_s3box.engine.run_reader import find_run
from beam_s3box.errors import ConfigurationError, S3BoxError
from beam_s3box.metrics import SHARDS, MemoryMetrics
from beam_s3box.runs.report.figures import RunFigures
from beam_s3box.runs.report.gather import gather
from beam_s3box.runs.report.page import render_page

_LOGGER = logging.getLogger(__name__)


def run(arguments: Sequence[str], log: CommandLog) -> int:
    """Report a run, and return the exit code."""
    try:
        given = REPORT_PARSER.parse(arguments)
        log.mask(filter(None, (given.s3_secret_access_key, given.s3_session_token)))
        if given.html is not None:
            check_file(given.html, "html")
        figures = _figures_of(given)
        if given.html is not None:
            _write_page(given.html, figures)
    except S3BoxError as exc:
        return fail_with(2 if isinstance(exc, ConfigurationError) else 1, str(exc), log)
    if given.json:
        say_text(figures_json(figures))
    elif not given.quiet:
        say_text(render_figures(figures, width_of_output()))
    if given.html is not None and not given.quiet:
        say(f"page {given.html}", error=given.json)
    return 0


def _figures_of(given: argparse.Namespace) -> RunFigures:
    store, run_id = place_of(given)
    found = find_run(store, run_id)
    counts = MemoryMetrics()
    with shown(ReadingProgress(counts.totals), _LOGGER, is_quiet=given.quiet or given.json):
        return gather(found, lambda shards: counts.count(SHARDS))


def _write_page(path: str, figures: RunFigures) -> None:
    page = render_page(figures, __version__, datetime.datetime.now(datetime.UTC))
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(page)
    except OSError as exc:
        raise S3BoxError(f"html={path!r} can't be written: {exc.strerror}") from exc
