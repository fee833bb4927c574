"""The streaming job: options, checks, pipeline."""

from __future__ import annotations

from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from beam_s3box.jobs.options.flink import FlinkOptions
from beam_s3box.jobs.options.input import InputOptions
from beam_s3box.jobs.options.manifests import ManifestOptions
from beam_s3box.jobs.options.naming import NamingOptions
from beam_s3box.jobs.options.packing import PackingOptions, packing_of
from beam_s3box.jobs.options.parser import OptionParser
from beam_s3box.jobs.options.redshift import RedshiftOptions, check_redshift, copy_to_redshift, redshift_of
from beam_s3box.jobs.options.reporting import ReportingOptions
from beam_s3box.jobs.options.runners import check_stream_runner
from beam_s3box.jobs.options.s3 import S3WriteOptions
from beam_s3box.jobs.options.shards import ShardOptions
from beam_s3box.jobs.options.watch import WatchOptions, watching_of
from beam_s3box.jobs.options.windows import WindowOptions, timing_of
from beam_s3box.jobs.options.write import WriteOptions, write_of
from beam_s3box.jobs.read.found_notes import FoundNotes
from beam_s3box.jobs.read.input_files import s3_access_of
from beam_s3box.jobs.read.stream import ReadStream
from beam_s3box.jobs.read.watch import WatchFiles
from beam_s3box.jobs.run.job import Job, new_pipeline, run_job, set_up, write_summary
from beam_s3box.jobs.run.logging import ToolLog
from beam_s3box.jobs.run.preflight import (
    check_destination,
    check_given,
    check_json,
    check_report,
    check_watched,
    tell_matches,
)
from beam_s3box.jobs.run.wait import template_of

_DESCRIPTION = (
    "Writes files of JSON lines to S3 as they appear, as gzip JSON shards by stream, and the manifests that Redshift's "
    "COPY loads. Files are read once, when they are found, and must be whole then."
)

PARSER = OptionParser(
    "s3box stream",
    _DESCRIPTION,
    (
        InputOptions,
        WatchOptions,
        WriteOptions,
        NamingOptions,
        WindowOptions,
        ShardOptions,
        PackingOptions,
        ManifestOptions,
        S3WriteOptions,
        RedshiftOptions,
        FlinkOptions,
        ReportingOptions,
    ),
    None,
)
"""The command line."""


def run(arguments: Sequence[str], log: ToolLog) -> int:
    """Run the streaming job and return its exit code."""
    return run_job(PARSER, prepare, arguments, log)


def prepare(options: PipelineOptions, log: ToolLog) -> Job:
    """Return the job that the options describe, after all that can be checked before its work was.

    Raises:
      S3BoxError: an option, the input or the destination can't work.
    """
    check_stream_runner(options)
    options.view_as(StandardOptions).streaming = True
    set_up(options, log)
    report = options.view_as(ReportingOptions).report
    watching, timing = watching_of(options), timing_of(options)
    write = write_of(options, stream=packing_of(options))
    has_end = watching.stop_after is not None
    redshift = redshift_of(options, write, log, has_end=has_end)
    patterns = options.view_as(InputOptions).input
    read = ReadStream(timing, write.max_line_bytes)
    check_report(report)
    check_given(patterns)
    check_json(patterns)
    if template_of(options) is None:
        check_destination(write, bounded=False)
        check_watched(patterns, options)
        check_redshift(redshift)
    pipeline, access = new_pipeline(options), s3_access_of(options)
    watch = WatchFiles(patterns, watching, timing.delay, FoundNotes(write.store, write.run_id), access=access)
    if template_of(options) is None:
        tell_matches(patterns, access)
    stream = pipeline | "WatchFiles" >> watch | "ReadStream" >> read
    result = stream.lines | "WriteToS3Box" >> write.transform
    if has_end:
        write_summary(write, result, stream.counts)
    copy_to_redshift(redshift, write, result, has_end=has_end)
    return Job(pipeline, write, report, is_endless=not has_end, redshift=redshift)
