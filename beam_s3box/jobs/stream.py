"""The streaming job: options, checks, pipeline."""

from __future__ import annotations

from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from beam_s3box.cli.options.jobs import STREAM
from beam_s3box.cli.options.reporting import check_unfinished, reporting_of
from beam_s3box.jobs.options.origin import command_origin
from beam_s3box.jobs.options.parser import OptionParser, given_of
from beam_s3box.jobs.options.redshift import check_redshift, copy_to_redshift, redshift_of
from beam_s3box.jobs.options.runners import check_stream_runner, template_of
from beam_s3box.jobs.options.stream import packing_of, watching_of
from beam_s3box.jobs.options.windows import timing_of
from beam_s3box.jobs.options.write import write_of
from beam_s3box.jobs.read.found_notes import FoundNotes
from beam_s3box.jobs.read.input_files import s3_access_of
from beam_s3box.jobs.read.stream import ReadStream
from beam_s3box.jobs.read.watch import WatchFiles
from beam_s3box.jobs.run.job import Job, new_pipeline, run_job, set_up, write_summary
from beam_s3box.jobs.run.logging import JobLog
from beam_s3box.jobs.run.preflight import (
    check_destination,
    check_given,
    check_json,
    check_watched,
    tell_matches,
)

PARSER = OptionParser(STREAM)
"""The command line."""


def run(arguments: Sequence[str], log: JobLog) -> int:
    """Run the streaming job and return its exit code."""
    return run_job(PARSER, prepare, arguments, log)


def prepare(options: PipelineOptions, log: JobLog) -> Job:
    """Return the job that the options describe, after all that can be checked before its work was.

    Raises:
      S3BoxError: an option, the input or the destination can't work.
    """
    check_stream_runner(options)
    options.view_as(StandardOptions).streaming = True
    set_up(options, log)
    given = given_of(options)
    watching, timing = watching_of(options), timing_of(options)
    write = write_of(options, stream=packing_of(options))
    has_end = watching.stop_after is not None
    redshift = redshift_of(options, write, log, has_end=has_end)
    patterns = given.input
    read = ReadStream(timing, write.max_line_bytes, given.path_columns)
    reporting = reporting_of(given)
    check_given(patterns)
    check_json(patterns)
    if template_of(options) is None:
        check_unfinished(given, write.store, reporting)
        check_destination(write, bounded=False)
        check_watched(patterns, options)
        check_redshift(redshift)
    write.transform.origin = command_origin("stream", given, STREAM)
    pipeline, access = new_pipeline(options), s3_access_of(options)
    watch = WatchFiles(patterns, watching, timing.delay, FoundNotes(write.store, write.run_id), access=access)
    stream = pipeline | "WatchFiles" >> watch | "ReadStream" >> read
    result = stream.lines | "WriteToS3Box" >> write.transform
    if has_end:
        write_summary(write, result, stream.counts)
    copy_to_redshift(redshift, write, result, has_end=has_end)
    if template_of(options) is None:
        tell_matches(patterns, access)
    return Job(pipeline, write, reporting, is_endless=not has_end, redshift=redshift)
