"""The streaming job: options, checks, pipeline."""

from __future__ import annotations

from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from pipelines.flink_options import FlinkOptions
from pipelines.found_notes import FoundNotes
from pipelines.input_options import InputOptions
from pipelines.job import Job, new_pipeline, run_job, set_up, write_summary
from pipelines.manifest_options import ManifestOptions
from pipelines.naming_options import NamingOptions
from pipelines.options import OptionParser
from pipelines.packing_options import PackingOptions, packing_of
from pipelines.preflight import check_destination, check_given, check_json_lines, check_report, check_watched
from pipelines.redshift_options import RedshiftOptions, check_redshift, copy_to_redshift, redshift_of
from pipelines.runners import check_stream_runner
from pipelines.running import template_of
from pipelines.s3_options import S3WriteOptions
from pipelines.shard_options import ShardOptions
from pipelines.speech_options import SpeechOptions
from pipelines.stream_reader import ReadStream
from pipelines.tool_logging import ToolLog
from pipelines.watch import WatchFiles
from pipelines.watch_options import WatchOptions, watching_of
from pipelines.window_options import WindowOptions, timing_of
from pipelines.write_options import WriteOptions, write_of

_DESCRIPTION = (
    "Writes files of JSON lines to S3 as they appear, as gzip JSON shards by stream, and the manifests that Redshift's "
    "COPY loads. Files are read once, when they are found, and must be whole then."
)

PARSER = OptionParser(
    "python -m pipelines.stream",
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
        SpeechOptions,
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
    report = options.view_as(SpeechOptions).report
    watching, timing = watching_of(options), timing_of(options)
    write = write_of(options, stream=packing_of(options))
    has_end = watching.stop_after is not None
    redshift = redshift_of(options, write, log, has_end=has_end)
    patterns = options.view_as(InputOptions).input
    read = ReadStream(timing, write.max_line_bytes)
    check_report(report)
    check_given(patterns)
    check_json_lines(patterns)
    if template_of(options) is None:
        check_destination(write, bounded=False)
        check_watched(patterns, options)
        check_redshift(redshift)
    pipeline = new_pipeline(options)
    watch = WatchFiles(patterns, watching, timing.delay, FoundNotes(write.store, write.transform.run_id))
    stream = pipeline | "WatchFiles" >> watch | "ReadStream" >> read
    result = stream.lines | "WriteToS3Box" >> write.transform
    if has_end:
        write_summary(write, result, stream.counts)
    copy_to_redshift(redshift, write, result, has_end=has_end)
    return Job(pipeline, write, report, is_endless=not has_end, redshift=redshift)
