"""The backfill: options, checks, pipeline."""

from __future__ import annotations

from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box.jobs.options.backfill import FormatOptions
from beam_s3box.jobs.options.csv import csv_dialect_of
from beam_s3box.jobs.options.flink import FlinkOptions
from beam_s3box.jobs.options.input import InputOptions
from beam_s3box.jobs.options.manifests import ManifestOptions
from beam_s3box.jobs.options.naming import NamingOptions
from beam_s3box.jobs.options.parser import OptionParser
from beam_s3box.jobs.options.redshift import RedshiftOptions, check_redshift, copy_to_redshift, redshift_of
from beam_s3box.jobs.options.reporting import ReportingOptions
from beam_s3box.jobs.options.runners import DEFAULT_RUNNER
from beam_s3box.jobs.options.s3 import S3WriteOptions
from beam_s3box.jobs.options.shards import ShardOptions
from beam_s3box.jobs.options.write import WriteOptions, write_of
from beam_s3box.jobs.read.files import ReadRecords
from beam_s3box.jobs.read.rows import RowOptions
from beam_s3box.jobs.run.job import Job, new_pipeline, run_job, set_up, write_summary
from beam_s3box.jobs.run.logging import ToolLog
from beam_s3box.jobs.run.preflight import check_destination, check_given, check_input, check_report
from beam_s3box.jobs.run.wait import template_of

_DESCRIPTION = (
    "Writes files of records to S3 as gzip JSON shards by stream, and the manifests that Redshift's COPY loads."
)

PARSER = OptionParser(
    "s3box backfill",
    _DESCRIPTION,
    (
        InputOptions,
        FormatOptions,
        WriteOptions,
        NamingOptions,
        ShardOptions,
        ManifestOptions,
        S3WriteOptions,
        RedshiftOptions,
        FlinkOptions,
        ReportingOptions,
    ),
    DEFAULT_RUNNER,
)
"""The command line."""


def run(arguments: Sequence[str], log: ToolLog) -> int:
    """Run the backfill and return its exit code."""
    return run_job(PARSER, prepare, arguments, log)


def prepare(options: PipelineOptions, log: ToolLog) -> Job:
    """Return the job that the options describe, after all that can be checked before its work was.

    Raises:
      S3BoxError: an option, the input or the destination can't work.
    """
    set_up(options, log)
    report = options.view_as(ReportingOptions).report
    patterns, formats = options.view_as(InputOptions).input, options.view_as(FormatOptions)
    write = write_of(options)
    redshift = redshift_of(options, write, log)
    check_report(report)
    check_given(patterns)
    if template_of(options) is None:
        check_destination(write, bounded=True)
        check_input(patterns, options, formats.input_format)
        check_redshift(redshift)
    pipeline = new_pipeline(options)
    rows = RowOptions(csv_dialect_of(formats), write.max_line_bytes)
    read = ReadRecords(patterns, formats.input_format, write.max_line_bytes, rows)
    result = pipeline | "ReadRecords" >> read | "WriteToS3Box" >> write.transform
    write_summary(write, result)
    copy_to_redshift(redshift, write, result, has_end=True)
    return Job(pipeline, write, report, redshift=redshift)
