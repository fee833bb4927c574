"""`pack`: JSON lines in, shards and manifests out, without Beam."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
from collections.abc import Sequence
from typing import Final, NamedTuple

from beam_s3box.cli.commands.pack_input import (
    Reading,
    ReadingStopped,
    check_standard_input,
    find_local_files,
    read_batches,
)
from beam_s3box.cli.console.interrupts import Interrupts, exit_code_of
from beam_s3box.cli.console.logging import CommandLog
from beam_s3box.cli.console.output import say
from beam_s3box.cli.console.packed import report_of_packed
from beam_s3box.cli.console.progress import Progress, shown
from beam_s3box.cli.console.summary import AlreadyFinished, Reporting, fail_with, print_finished, print_summary
from beam_s3box.cli.options.notify import notify_secrets
from beam_s3box.cli.options.pack import PACK_PARSER, plan_of
from beam_s3box.cli.options.reporting import check_unfinished, reporting_of
from beam_s3box.engine.line_packer import LinePacker, Packed
from beam_s3box.engine.plan import RunPlan
from beam_s3box.engine.run_totals import RunInput
from beam_s3box.errors import S3BoxError
from beam_s3box.metrics import INPUT_BYTES, MemoryMetrics
from beam_s3box.prometheus import served
from beam_s3box.records.lines import longest_line
from beam_s3box.system.heap import settle

_LOGGER = logging.getLogger(__name__)
_NOTICE: Final = (
    "interrupted by {signal}: sealing what is packed and writing its manifests, "
    "in at most {seconds} s; ^C stops at once"
)


class _Job(NamedTuple):
    """A pack that is ready to run: everything that can be checked before was checked."""

    plan: RunPlan
    files: list[str]
    reading: Reading
    reporting: Reporting
    grace_seconds: float


class _Outcome(NamedTuple):
    """The result; the signal that ended it, 0 for none, and where reading stopped."""

    packed: Packed
    stopped_by: int
    stopped_at: str


def run(arguments: Sequence[str], log: CommandLog) -> int:
    """Run the command and return its exit code."""
    counts = MemoryMetrics()
    with contextlib.ExitStack() as stack:
        try:
            job = _prepare(PACK_PARSER.parse(arguments), log)
            stack.enter_context(served(counts.totals, job.reporting.metrics_port))
        except S3BoxError as exc:
            return fail_with(2, str(exc), log)
        except AlreadyFinished as finished:
            return print_finished(finished, log)
        return _pack(job, counts, log)


def _pack(job: _Job, counts: MemoryMetrics, log: CommandLog) -> int:
    settle()
    try:
        outcome = _execute(job, counts)
    except Exception as exc:  # whatever it is, the pack failed, and one line says so
        if log.shows_tracebacks:
            _LOGGER.error("the pack failed", exc_info=True)
        return fail_with(1, f"the pack failed: {_reason_of(exc)}", log)
    code = print_summary("pack", report_of_packed(outcome.packed, job.plan), job.plan.store, job.reporting, log)
    if code == 0 and outcome.stopped_by:
        say(_describe_stop(outcome, job.plan), error=True)
        return exit_code_of(outcome.stopped_by)
    return code


def _describe_stop(outcome: _Outcome, plan: RunPlan) -> str:
    where = "is listed or a dead letter" if plan.manifests is not None else "is in a shard or a dead letter"
    return (
        f"interrupted: each of the {outcome.packed.records_in:,} records read until then {where}; "
        f"the rest of the input, from {outcome.stopped_at}, was not read: pack it with another run_id"
    )


def _prepare(given: argparse.Namespace, log: CommandLog) -> _Job:
    """Return the job.

    Raises:
      S3BoxError: an option, the input or the destination can't work.
    """
    log.set_level(given.log_level, is_quiet=given.quiet)
    log.set_format(given.log_format)
    log.mask(filter(None, (given.s3_secret_access_key, given.s3_session_token, *notify_secrets(given))))
    plan = plan_of(given)
    reporting = reporting_of(given)
    check_unfinished(given, plan.store, reporting)
    files = find_local_files(given.input or (), given.input_format, _LOGGER.info)
    if not files:
        check_standard_input()
    plan.store.check_writable()
    if given.run_id is not None:
        plan.claim.check(plan.store)
    reading = Reading(longest_line(plan.rules.max_bytes), given.input_format, given.path_columns)
    return _Job(plan, files, reading, reporting, given.grace_seconds)


def _execute(job: _Job, counts: MemoryMetrics) -> _Outcome:
    stopped_at = ""
    input_bytes = sum(map(os.path.getsize, job.files)) or None
    with (
        Interrupts(_NOTICE, job.grace_seconds) as interrupts,
        LinePacker(job.plan, counts) as packer,
        shown(Progress(counts.totals, input_bytes=input_bytes), _LOGGER, is_quiet=job.reporting.is_quiet),
    ):
        try:
            for batch in read_batches(job.files, interrupts, job.reading, counts):
                packer.pack(batch)
        except ReadingStopped as exc:
            stopped_at = str(exc)
        packer.source = RunInput(
            files=len(job.files) or None, bytes=counts.totals().get(INPUT_BYTES), stopped_at=stopped_at
        )
        return _Outcome(packer.finish(), interrupts.asked if stopped_at else 0, stopped_at)


def _reason_of(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, S3BoxError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
