"""The steps of a backfill: options, checks, pipeline, report."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from typing import NamedTuple

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions, S3Options
from apache_beam.runners.runner import PipelineResult, PipelineState

from beam_s3box.cli.report import RunReport
from beam_s3box.cli.tell import end, tell
from beam_s3box.errors import ConfigurationError, S3BoxError, StoreError
from pipelines.backfill_options import InputOptions, SpeechOptions
from pipelines.child_output import children_silent
from pipelines.failures import reason_of, was_interrupted
from pipelines.manifest_options import ManifestOptions
from pipelines.naming_options import NamingOptions
from pipelines.options import OptionParser
from pipelines.preflight import check_destination, check_input, check_report
from pipelines.progress import Progress, shown
from pipelines.readers import ReadRecords
from pipelines.report import counted, records_in_of
from pipelines.runners import runner_of, starts_processes
from pipelines.s3_options import S3WriteOptions
from pipelines.shard_options import ShardOptions
from pipelines.summary import WriteSummary, summary_key
from pipelines.tool_logging import ToolLog
from pipelines.write_options import Write, WriteOptions, write_of

_LOGGER = logging.getLogger(__name__)
_PROGRAM = "python -m pipelines.backfill"
_DESCRIPTION = (
    "Writes files of records to S3 as gzip JSON shards by stream, and the manifests that Redshift's COPY loads."
)

PARSER = OptionParser(
    _PROGRAM,
    _DESCRIPTION,
    (InputOptions, WriteOptions, NamingOptions, ShardOptions, ManifestOptions, S3WriteOptions, SpeechOptions),
)
"""The command line."""


class Job(NamedTuple):
    """A backfill that is ready to run.

    Attributes:
      pipeline: all of its steps.
      write: what is written, and where.
      report: path of the report, if one is asked for.
    """

    pipeline: beam.Pipeline
    write: Write
    report: str | None


def run(arguments: Sequence[str], log: ToolLog) -> int:
    """Run the backfill and return its exit code."""
    text = PARSER.help_asked(arguments)
    if text is not None:
        print(text, end="")
        return 0
    try:
        job = prepare(PARSER.parse(arguments), log)
    except S3BoxError as exc:
        return end(2, PARSER.as_flags(str(exc)), log)
    return _execute(job, log)


def prepare(options: PipelineOptions, log: ToolLog) -> Job:
    """Return the job that the options describe, after all that can be checked before its work was.

    Raises:
      S3BoxError: an option, the input or the destination can't work.
    """
    speech, given = options.view_as(SpeechOptions), options.view_as(InputOptions)
    log.set_level(speech.log_level)
    s3 = options.view_as(S3Options)
    log.mask(filter(None, (s3.s3_secret_access_key, s3.s3_session_token)))
    # Beam's readers and our stores find the S3 options there
    FileSystems.set_options(options)
    write = write_of(options)
    check_report(speech.report)
    check_destination(write)
    check_input(given.input, options)
    return Job(_pipeline(options, write, ReadRecords(given.input, given.input_format)), write, speech.report)


def _pipeline(options: PipelineOptions, write: Write, read: ReadRecords) -> beam.Pipeline:
    try:
        pipeline = beam.Pipeline(runner=runner_of(options), options=options)
    except ValueError as exc:
        raise ConfigurationError(" ".join(str(exc).split())) from exc
    result = pipeline | "ReadRecords" >> read | "WriteToS3Box" >> write.transform
    summary = WriteSummary(write.store, write.transform.run_id, has_manifests=write.has_manifests)
    tuple(result) | "WriteSummary" >> summary
    return pipeline


def _execute(job: Job, log: ToolLog) -> int:
    progress = Progress()
    try:
        with _children(job, log), shown(progress):
            result = _run_to_end(job.pipeline, progress)
    except Exception as exc:  # every runner has errors of its own; whatever it is, the job failed
        if was_interrupted(exc):
            raise KeyboardInterrupt from exc
        if log.shows_tracebacks:
            _LOGGER.error("the pipeline failed", exc_info=True)
        return end(1, f"the pipeline failed: {PARSER.as_flags(reason_of(exc))}", log)
    try:
        report = RunReport.of_summary(
            job.write.store.get(summary_key(job.write.transform.run_id)), records_in_of(result)
        )
    except StoreError as exc:
        return end(1, f"the pipeline finished, but its totals can't be read back: {exc}", log)
    return _tell(report, job, log)


def _children(job: Job, log: ToolLog) -> contextlib.AbstractContextManager[None]:
    """Return what keeps worker processes on this machine from talking over the job."""
    silent = starts_processes(job.pipeline.options) and not log.shows_tracebacks
    return children_silent() if silent else contextlib.nullcontext()


def _run_to_end(pipeline: beam.Pipeline, progress: Progress) -> PipelineResult:
    result = pipeline.run()
    if not PipelineState.is_terminal(result.state):
        progress.follow(lambda: counted(result))
    state = result.wait_until_finish()
    if state != PipelineState.DONE:
        raise RuntimeError(f"it ended in the state {state}")
    return result


def _tell(report: RunReport, job: Job, log: ToolLog) -> int:
    return tell("pipeline", report, job.write.store, job.report, log)
