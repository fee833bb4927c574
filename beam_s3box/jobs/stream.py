"""The streaming job: options, checks, pipeline."""

from __future__ import annotations

from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from beam_s3box.cli.options.jobs import STREAM
from beam_s3box.cli.options.reporting import check_unfinished, reporting_of
from beam_s3box.errors import ConfigurationError
from beam_s3box.jobs.options.csv import csv_dialect_of
from beam_s3box.jobs.options.parser import OptionParser, given_of
from beam_s3box.jobs.options.queue import queue_of, receiving_of
from beam_s3box.jobs.options.redshift import check_redshift, copy_to_redshift, redshift_of
from beam_s3box.jobs.options.runners import check_stream_runner, template_of
from beam_s3box.jobs.options.stream import packing_of, watching_of
from beam_s3box.jobs.options.windows import timing_of
from beam_s3box.jobs.options.write import write_of
from beam_s3box.jobs.read.found_notes import FoundNotes
from beam_s3box.jobs.read.input_files import s3_access_of
from beam_s3box.jobs.read.queue.check import checked
from beam_s3box.jobs.read.queue.receive import ReceiveObjects
from beam_s3box.jobs.read.rows import RowOptions
from beam_s3box.jobs.read.stream import ReadStream
from beam_s3box.jobs.read.watch import WatchFiles
from beam_s3box.jobs.run.job import Job, new_pipeline, run_job, set_up, write_summary
from beam_s3box.jobs.run.logging import JobLog
from beam_s3box.jobs.run.preflight import (
    check_destination,
    check_given,
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
    patterns, queue = given.input, queue_of(options)
    read = ReadStream(
        timing,
        write.max_line_bytes,
        given.path_columns,
        input_format=given.input_format,
        rows=RowOptions(csv_dialect_of(given), write.max_line_bytes),
        keeps_unreadable=queue is not None,
    )
    reporting = reporting_of(given)
    if queue is None:
        check_given(patterns)
    elif patterns:
        raise ConfigurationError("--sqs_queue names what is read, and so does --input: give one of them")
    if template_of(options) is None:
        check_unfinished(given, write.store, reporting)
        check_destination(write, bounded=False)
        if queue is None:
            check_watched(patterns, options)
        else:
            queue = checked(queue, watching.poll_interval)
        check_redshift(redshift)
    pipeline, access = new_pipeline(options), s3_access_of(options)
    notes = FoundNotes(write.store, write.run_id)
    if queue is None:
        files = pipeline | "WatchFiles" >> WatchFiles(patterns, watching, timing.delay, notes, access=access)
    else:
        receive = ReceiveObjects(queue, receiving_of(options), timing.delay, notes, own=write.store.root)
        files = pipeline | "ReceiveObjects" >> receive
    stream = files | "ReadStream" >> read
    result = stream.lines | "WriteToS3Box" >> write.transform
    if has_end:
        write_summary(write, result, stream.counts)
    copy_to_redshift(redshift, write, result, has_end=has_end)
    if template_of(options) is None and queue is None:
        tell_matches(patterns, access)
    return Job(pipeline, write, reporting, is_endless=not has_end, redshift=redshift)
