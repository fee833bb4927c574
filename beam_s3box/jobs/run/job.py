"""What every job does: reads its command line, prepares, runs to the end or hands over, and reports what it wrote."""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions, S3Options, StandardOptions
from apache_beam.runners.runner import PipelineResult

from beam_s3box.cli.console.interrupts import Interrupted, exit_code_of, signals_raise
from beam_s3box.cli.console.output import say, say_text
from beam_s3box.cli.console.summary import AlreadyFinished, Reporting, fail_with, print_finished, print_summary
from beam_s3box.cli.options.notify import notify_secrets
from beam_s3box.engine.run_notices import ask_to_stop
from beam_s3box.errors import ConfigurationError, S3BoxError, StoreError
from beam_s3box.jobs.options.parser import OptionParser, given_of
from beam_s3box.jobs.options.redshift import Redshift, loads_any
from beam_s3box.jobs.options.runners import (
    check_keys_stay_here,
    ends_with_launcher,
    is_flink,
    runner_of,
    starts_processes,
)
from beam_s3box.jobs.options.write import Write
from beam_s3box.jobs.read.counts import ReadCount
from beam_s3box.jobs.run.child_output import children_silent, tracebacks_unprinted
from beam_s3box.jobs.run.counters import records_in_of
from beam_s3box.jobs.run.failures import reason_of, was_interrupted
from beam_s3box.jobs.run.load_report import loads_of, print_loads, with_loads
from beam_s3box.jobs.run.logging import JobLog
from beam_s3box.jobs.run.marks import mark_ended, mark_failed, mark_interrupted
from beam_s3box.jobs.run.progress import Progress, shown
from beam_s3box.jobs.run.wait import handed_over, run_to_end
from beam_s3box.jobs.totals.loads import loads_key
from beam_s3box.jobs.totals.run_objects import is_written
from beam_s3box.jobs.totals.summary import WriteSummary, read_summary, summary_key
from beam_s3box.jobs.workers.pool import WorkerPool
from beam_s3box.metrics import shared_by_children
from beam_s3box.prometheus import served
from beam_s3box.sources.positions import PartRange
from beam_s3box.system.heap import settle
from beam_s3box.transforms.result import WriteToS3BoxResult

_LOGGER = logging.getLogger(__name__)
_SHARED_SECONDS: Final = 0.5
"""The counts of worker processes on this machine are read no more often."""


class Job(NamedTuple):
    """A job that is ready to run.

    Attributes:
      pipeline: all of its steps.
      write: what is written, and where.
      reporting: how it is reported.
      input_bytes: bytes of all files that it reads; None if unknown.
      is_endless: whether the pipeline has no end of its own until it is stopped.
      redshift: what is loaded into Redshift, None for nothing.
      is_stream: whether its sources look for the mark to stop.
      pool: processes of this machine that read and pack; None where the runner does.
    """

    pipeline: beam.Pipeline
    write: Write
    reporting: Reporting = Reporting()
    input_bytes: int | None = None
    is_endless: bool = False
    redshift: Redshift | None = None
    is_stream: bool = False
    pool: WorkerPool | None = None


Prepare: TypeAlias = Callable[[PipelineOptions, JobLog], Job]


def run_job(parser: OptionParser, prepare: Prepare, arguments: Sequence[str], log: JobLog) -> int:
    """Run the job that the arguments describe and return its exit code.

    Args:
      parser: of its command line.
      prepare: makes the job, after all that can be checked before its work was.
      arguments: options.
      log: the messages.
    """
    text = parser.help_asked(arguments)
    if text is not None:
        say_text(text)
        return 0
    with contextlib.ExitStack() as stack:
        try:
            job = prepare(parser.parse(arguments), log)
            progress = Progress(input_bytes=job.input_bytes)
            stack.enter_context(served(progress.totals, job.reporting.metrics_port))
        except S3BoxError as exc:
            return fail_with(2, str(exc), log)
        except AlreadyFinished as finished:
            return print_finished(finished, log)
        return _execute(job, progress, log)


def set_up(options: PipelineOptions, log: JobLog) -> None:
    """Let this process speak and end as the options say, and Beam's files and our stores find the options of S3."""
    given = given_of(options)
    log.set_level(given.log_level, is_quiet=given.quiet)
    log.set_format(given.log_format)
    s3 = options.view_as(S3Options)
    log.mask(filter(None, (s3.s3_secret_access_key, s3.s3_session_token, *notify_secrets(given))))
    check_keys_stay_here(options)
    FileSystems.set_options(options)


def new_pipeline(options: PipelineOptions) -> beam.Pipeline:
    """Return a pipeline without steps.

    Raises:
      ConfigurationError: an option of Beam's that can't work.
    """
    try:
        return beam.Pipeline(runner=runner_of(options), options=options)
    except ValueError as exc:
        raise ConfigurationError(" ".join(str(exc).split())) from exc


def write_summary(
    write: Write,
    result: WriteToS3BoxResult,
    read: beam.PCollection[ReadCount] | None = None,
    ranges: beam.PCollection[PartRange] | None = None,
    *,
    source: str = "",
    has_end: bool = True,
) -> None:
    """Add the step that sums up what was written, for the report, and finishes the record of an unbounded run.

    Args:
      write: what is written.
      result: of the write.
      read: counts of what was read; None where the pipeline's counters tell.
      ranges: how far each part of a source was read; None for files.
      source: its name in the record.
      has_end: whether the input will end; where it may go on for ever, nothing is kept of each of its files.
    """
    limit = write.transform.dead_letter_limit
    summary = WriteSummary(
        write.store,
        write.transform.claim,
        limit,
        has_manifests=write.has_manifests,
        source=source,
        sums_by_file=has_end,
    )
    rows = (tuple(result) if read is None else (*result, read)) if ranges is None else (*result, read, ranges)
    rows | "WriteSummary" >> summary


def _execute(job: Job, progress: Progress, log: JobLog) -> int:
    result = None
    grace_seconds, message = given_of(job.pipeline.options).grace_seconds, _describe_interrupt(job)
    asked: list[int] = []
    try:
        is_done = _end_of(job)
        with (
            signals_raise(grace_seconds, message) as asked,
            _interrupts_marked(job, asked, message),
            _workers(job, progress, log),
            shown(progress, is_quiet=job.reporting.is_quiet),
        ):
            settle()
            result = job.pipeline.run()
            handed = handed_over(result, job.pipeline.options)
            if handed is not None:
                say(handed)
                return 0
            run_to_end(result, progress, is_done, takes=_stopping(job))
            mark_ended(job.write)
    except KeyboardInterrupt as exc:
        raise _interrupted(asked, message) from exc
    except Exception as exc:  # every runner has errors of its own; whatever it is, the job failed
        if asked or was_interrupted(exc):
            raise _interrupted(asked, message) from exc
        notes = mark_failed(job.write, result, exc, log)
        if log.shows_tracebacks:
            _LOGGER.error("the pipeline failed", exc_info=True)
        return fail_with(1, "; ".join((f"the pipeline failed: {reason_of(exc)}", *notes)), log)
    if job.is_endless and not is_written(job.write.store, summary_key(job.write.transform.claim)):
        say(f"run {job.write.run_id} to {job.write.store.root} ended")
        return 0
    code = _report_end(job, result, log)
    return code or (exit_code_of(asked[0]) if asked else 0)


def _stopping(job: Job) -> Callable[[Interrupted], bool] | None:
    """Return what makes a stop in order of the first SIGTERM, where sources look for that; None for other jobs."""
    if not job.is_stream:
        return None
    claim = job.write.transform.claim
    stopped: list[int] = []

    def stop(interrupted: Interrupted) -> bool:
        if stopped or interrupted.number != signal.SIGTERM:
            return False
        stopped.append(interrupted.number)
        grace = given_of(job.pipeline.options).grace_seconds
        say(
            f"SIGTERM: run {claim.layout.run_id} stops reading, and what is buffered is listed, in at most "
            f"{grace:g} s; ^C ends at once",
            error=True,
        )
        ask_to_stop(job.write.store, claim.layout)
        return True

    return stop


@contextlib.contextmanager
def _interrupts_marked(job: Job, asked: list[int], message: str) -> Iterator[None]:
    """Say in the run's record that a signal ended the block; another ^C ends that, too."""
    # asked before it runs: Beam then forgets the runner's name
    ends_here = ends_with_launcher(job.pipeline.options)
    try:
        yield
    except BaseException as exc:
        if ends_here and (asked or was_interrupted(exc)):
            mark_interrupted(job.write, _interrupted(asked, message))
        raise


def _interrupted(asked: list[int], message: str) -> Interrupted:
    return Interrupted(asked[0] if asked else signal.SIGINT, message)


def _describe_interrupt(job: Job) -> str:
    """Return what counts of a run that was interrupted."""
    run_id = job.write.run_id
    if job.pipeline.options.view_as(StandardOptions).streaming:
        return (
            f"what the manifests of run {run_id} list counts; windows that had none yet don't. On a cluster the job "
            "runs on until it is stopped by `s3box stop`, or cancelled there"
        )
    return (
        f"a backfill lists its shards when all input is written: what no manifest of run {run_id} lists does not "
        "count; start it again, under the same --run_id or a new one"
    )


def _end_of(job: Job) -> Callable[[], bool] | None:
    """Return the function that says whether all is written, where a job whose input has ended may stay idle."""
    # asked before it runs: Beam then forgets the runner's name
    if not is_flink(job.pipeline.options):
        return None
    store, claim = job.write.store, job.write.transform.claim
    has_loads = loads_any(job.redshift) and not job.is_endless
    keys = [summary_key(claim), *([loads_key(claim)] if has_loads else [])]
    return lambda: all(is_written(store, key) for key in keys)


@contextlib.contextmanager
def _workers(job: Job, progress: Progress, log: JobLog) -> Iterator[None]:
    """Within the block, keep workers on this machine from printing over the job, and let them say how far they are."""
    with contextlib.ExitStack() as undo:
        starts = starts_processes(job.pipeline.options)
        if starts or job.pool:
            progress.follow(undo.enter_context(shared_by_children()), _SHARED_SECONDS)
        if job.pool:
            undo.enter_context(job.pool)
        if log.shows_tracebacks:
            pass
        elif starts:
            undo.enter_context(children_silent())
        else:
            undo.enter_context(tracebacks_unprinted())
        yield


def _report_end(job: Job, result: PipelineResult, log: JobLog) -> int:
    # an endless job fails with a load, and sums none up
    redshift = None if job.is_endless else job.redshift
    try:
        summary = read_summary(job.write.store, job.write.transform.claim, lambda: records_in_of(result))
        loads = loads_of(redshift, job.write)
    except StoreError as exc:
        return fail_with(1, f"the pipeline finished, but its totals can't be read back: {exc}", log)
    report = summary.report if loads is None else with_loads(summary.report, loads)
    code = print_summary("pipeline", report, job.write.store, job.reporting, log)
    if summary.note:
        say(summary.note)
    if summary.failure:
        written = "What its manifests list counts all the same, as the input has no end until it ends"
        code = fail_with(1, f"the pipeline finished, but {summary.failure}. {written}", log)
    return max(code, print_loads(redshift, report, loads, log))
