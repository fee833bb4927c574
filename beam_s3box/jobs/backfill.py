"""The backfill: options, checks, pipeline."""

from __future__ import annotations

from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import FixedWindows

from beam_s3box.cli.options.jobs import BACKFILL, DEFAULT_RUNNER
from beam_s3box.cli.options.reporting import check_unfinished, reporting_of
from beam_s3box.cli.options.windows import event_times_of
from beam_s3box.engine.run_totals import RunInput
from beam_s3box.jobs.options.csv import csv_dialect_of
from beam_s3box.jobs.options.origin import command_origin
from beam_s3box.jobs.options.parser import OptionParser, given_of
from beam_s3box.jobs.options.redshift import (
    check_redshift,
    copy_to_redshift,
    loading_if_finished,
    redshift_of,
)
from beam_s3box.jobs.options.runners import template_of
from beam_s3box.jobs.options.write import write_of
from beam_s3box.jobs.read.assign_times import AssignTimes
from beam_s3box.jobs.read.files import Reading, ReadRecords
from beam_s3box.jobs.read.input_files import s3_access_of
from beam_s3box.jobs.read.rows import RowOptions
from beam_s3box.jobs.run.job import Job, new_pipeline, run_job, set_up, write_summary
from beam_s3box.jobs.run.logging import JobLog
from beam_s3box.jobs.run.preflight import check_destination, check_given, check_input
from beam_s3box.jobs.workers.choice import workers_of
from beam_s3box.jobs.workers.pool import WorkerPool
from beam_s3box.jobs.workers.write import PackFiles, ReadByWorkers

PARSER = OptionParser(BACKFILL, DEFAULT_RUNNER)
"""The command line."""


def run(arguments: Sequence[str], log: JobLog) -> int:
    """Run the backfill and return its exit code."""
    return run_job(PARSER, prepare, arguments, log)


def prepare(options: PipelineOptions, log: JobLog) -> Job:
    """Return the job that the options describe, after all that can be checked before its work was.

    Raises:
      S3BoxError: an option, the input or the destination can't work.
    """
    set_up(options, log)
    given = given_of(options)
    patterns = given.input
    times = event_times_of(given)
    write = write_of(options, windowing=times and FixedWindows(times.seconds))
    redshift = redshift_of(options, write, log)
    reporting = reporting_of(given)
    check_given(patterns)
    found, pool = RunInput(), None
    if template_of(options) is None:
        with loading_if_finished(redshift):
            check_unfinished(given, write.store, reporting)
        check_destination(write, bounded=True)
        found, kinds = check_input(patterns, options, given.input_format)
        workers = workers_of(options, write.store, found, kinds)
        pool = WorkerPool(workers) if workers > 1 else None
        check_redshift(redshift)
    write.transform.origin = command_origin("backfill", given, BACKFILL, found)
    pipeline = new_pipeline(options)
    rows = RowOptions(csv_dialect_of(given), write.max_line_bytes)
    if pool is not None:
        reading = Reading(s3_access_of(options), given.input_format, write.max_line_bytes, rows, given.path_columns)
        write.transform.encode = PackFiles(pool.token, tuple(patterns), reading, times)
        records = pipeline | "ReadByWorkers" >> ReadByWorkers()
    else:
        read = ReadRecords(patterns, given.input_format, write.max_line_bytes, rows, given.path_columns)
        records = pipeline | "ReadRecords" >> read
        if times is not None:
            records = records | "AssignTimes" >> AssignTimes(times)
    result = records | "WriteToS3Box" >> write.transform
    write_summary(write, result)
    copy_to_redshift(redshift, write, result, has_end=True)
    return Job(pipeline, write, reporting, found.bytes, redshift=redshift, pool=pool)
