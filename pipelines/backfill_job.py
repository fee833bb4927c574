"""The backfill: options, checks, pipeline."""

from __future__ import annotations

from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.backfill_options import FormatOptions
from pipelines.flink_options import FlinkOptions
from pipelines.input_options import InputOptions
from pipelines.job import Job, new_pipeline, run_job, set_up, write_summary
from pipelines.manifest_options import ManifestOptions
from pipelines.naming_options import NamingOptions
from pipelines.options import OptionParser
from pipelines.preflight import check_destination, check_given, check_input, check_report
from pipelines.readers import ReadRecords
from pipelines.redshift_options import RedshiftOptions, check_redshift, copy_to_redshift, redshift_of
from pipelines.runners import DEFAULT_RUNNER
from pipelines.running import template_of
from pipelines.s3_options import S3WriteOptions
from pipelines.shard_options import ShardOptions
from pipelines.speech_options import SpeechOptions
from pipelines.tool_logging import ToolLog
from pipelines.write_options import WriteOptions, write_of

_DESCRIPTION = (
    "Writes files of records to S3 as gzip JSON shards by stream, and the manifests that Redshift's COPY loads."
)

PARSER = OptionParser(
    "python -m pipelines.backfill",
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
        SpeechOptions,
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
    report = options.view_as(SpeechOptions).report
    patterns, input_format = options.view_as(InputOptions).input, options.view_as(FormatOptions).input_format
    write = write_of(options)
    redshift = redshift_of(options, write, log)
    check_report(report)
    check_given(patterns)
    if template_of(options) is None:
        check_destination(write, bounded=True)
        check_input(patterns, options)
        check_redshift(redshift)
    pipeline = new_pipeline(options)
    read = ReadRecords(patterns, input_format, write.max_line_bytes)
    result = pipeline | "ReadRecords" >> read | "WriteToS3Box" >> write.transform
    write_summary(write, result)
    copy_to_redshift(redshift, write, result, has_end=True)
    return Job(pipeline, write, report, redshift=redshift)
