"""The streaming job: options, checks, pipeline."""

from __future__ import annotations

from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from beam_s3box.cli.options.jobs import STREAM
from beam_s3box.cli.options.reporting import check_unfinished, reporting_of
from beam_s3box.engine.run_notices import RunNotices
from beam_s3box.jobs.options.origin import command_origin
from beam_s3box.jobs.options.parser import OptionParser, given_of
from beam_s3box.jobs.options.redshift import (
    check_redshift,
    copy_to_redshift,
    loading_if_finished,
    redshift_of,
)
from beam_s3box.jobs.options.runners import check_stream_runner, template_of
from beam_s3box.jobs.options.sources import domain_of
from beam_s3box.jobs.options.stream import packing_of
from beam_s3box.jobs.options.write import write_of
from beam_s3box.jobs.read.inputs import input_of
from beam_s3box.jobs.run.job import Job, new_pipeline, run_job, set_up, write_summary
from beam_s3box.jobs.run.logging import JobLog
from beam_s3box.jobs.run.preflight import check_destination
from beam_s3box.shards.keys import Layout

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
    write = write_of(options, stream=packing_of(options), domain=domain_of(given))
    has_end = given.stop_after is not None
    redshift = redshift_of(options, write, log, has_end=has_end)
    stream_input = input_of(options, write)
    reporting = reporting_of(given)
    if template_of(options) is None:
        with loading_if_finished(redshift):
            check_unfinished(given, write.store, reporting)
        check_destination(write, bounded=False)
        stream_input.check()
        check_redshift(redshift)
    write.transform.origin = command_origin("stream", given, STREAM)
    pipeline = new_pipeline(options)
    read = stream_input.read(pipeline, RunNotices(write.store, Layout.below(write.store.root, write.run_id)))
    result = read.lines | "WriteToS3Box" >> write.transform
    write_summary(write, result, read.counts, read.ranges, source=stream_input.name, has_end=has_end)
    copy_to_redshift(redshift, write, result, has_end=has_end)
    if template_of(options) is None:
        stream_input.tell()
    return Job(pipeline, write, reporting, is_endless=not has_end, redshift=redshift, is_stream=True)
