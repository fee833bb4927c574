"""The command lines of the jobs, without Beam: their help and completion need none of it."""

from __future__ import annotations

import argparse
from typing import Final

from beam_s3box.cli.options import redshift_copy, redshift_target
from beam_s3box.cli.options.csv import add_csv_arguments
from beam_s3box.cli.options.input import PACKINGS_HELP, add_input_format_argument, add_path_columns_argument
from beam_s3box.cli.options.manifests import MANIFESTS
from beam_s3box.cli.options.naming import NAMING
from beam_s3box.cli.options.parser import CommandParser, Section
from beam_s3box.cli.options.queue import add_queue_arguments
from beam_s3box.cli.options.reporting import REPORTING
from beam_s3box.cli.options.s3 import S3_REACHING, S3_WRITING
from beam_s3box.cli.options.shards import SHARDS
from beam_s3box.cli.options.sources import KAFKA, KINESIS, SOURCE_DELAY, SOURCES
from beam_s3box.cli.options.values import seconds, truth, whole_seconds
from beam_s3box.cli.options.windows import WINDOWS
from beam_s3box.cli.options.workers import WORKERS
from beam_s3box.cli.options.write import WRITE
from beam_s3box.records.contents import KINDS
from beam_s3box.shards.limits import StreamLimits

INPUT_FORMATS: Final = ("auto", *KINDS)
"""What can be read; `auto` goes by the file's first bytes and by its extension."""

WATERMARK_DELAY: Final = 60.0
"""Seconds that windows wait for records where a field holds their time."""

DEFAULT_RUNNER: Final = "FnApiRunner"
"""The fast local runner; Beam's own default first looks for one that it would download."""

STREAM_RUNNERS: Final = "PrismRunner on this machine, FlinkRunner, PortableRunner or DataflowRunner"
"""Those that unbounded input can be written on."""

_POLL_INTERVAL: Final = 10.0
_MIN_AGE: Final = 1.0
_FORGET_AFTER: Final = 86_400.0
_MAX_SECONDS: Final = StreamLimits.max_seconds


def add_input_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that says what is read."""
    parser.add_argument(
        "--input",
        metavar="GLOB",
        action="append",
        help=f"files to read, local or s3://, {PACKINGS_HELP}; required",
    )
    add_path_columns_argument(parser)


def add_format_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what the files hold."""
    add_input_format_argument(parser, INPUT_FORMATS)
    add_csv_arguments(parser)


def add_poll_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that says how often the streaming job looks for files."""
    parser.add_argument(
        "--poll_interval",
        metavar="SECONDS",
        type=seconds(positive=True),
        default=_POLL_INTERVAL,
        help=f"between two looks for new files, or at a queue that was empty (default: {_POLL_INTERVAL:g})",
    )


def add_watch_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how the streaming job looks for files."""
    add_poll_argument(parser)
    parser.add_argument(
        "--min_age",
        metavar="SECONDS",
        type=seconds(),
        default=_MIN_AGE,
        help="since the last change of a local file, before it is read: until then it may grow; objects on S3 "
        f"appear whole (default: {_MIN_AGE:g})",
    )
    parser.add_argument(
        "--forget_after",
        metavar="SECONDS",
        type=seconds(positive=True),
        default=_FORGET_AFTER,
        help="since a file has gone, after which one that has its path is another file, and is read; one that still "
        f"exists is never read again (default: {_FORGET_AFTER:.0f}, a day)",
    )
    parser.add_argument(
        "--stop_after",
        metavar="SECONDS",
        type=seconds(positive=True),
        help="read that long, then write all that is buffered and end; files that are younger than --min_age then are "
        "left (default: run until it is stopped)",
    )


def add_lateness_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how long windows of a stream wait, and how often they are listed."""
    parser.add_argument(
        "--watermark_delay",
        metavar="SECONDS",
        type=seconds(),
        help="a window ends for its manifest that much later, so that records that are found up to then are in "
        f"time (default: {WATERMARK_DELAY:g} with --timestamp_field, else 0 for files, {SOURCE_DELAY:g} for others)",
    )
    parser.add_argument(
        "--allowed_lateness",
        metavar="SECONDS",
        type=seconds(),
        default=0.0,
        help="after that, for which late records still get manifests of their window; later ones count for when "
        "their file arrived (default: 0)",
    )
    parser.add_argument(
        "--triggering_frequency",
        metavar="SECONDS",
        type=whole_seconds,
        help="also list what a window has so far that often, whole seconds (default: only at its end)",
    )


def add_packing_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what bounds a shard of unbounded input, besides its size."""
    parser.add_argument(
        "--max_seconds",
        metavar="SECONDS",
        type=seconds(),
        default=_MAX_SECONDS,
        help="age of a shard's first record when the shard is written; 0 for no such limit (default: "
        f"{_MAX_SECONDS:g})",
    )
    parser.add_argument(
        "--lanes",
        metavar="N",
        type=int,
        default=1,
        help="workers that share one stream, for streams that one can't keep up with (default: 1)",
    )


def add_redshift_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that load what is written into Redshift."""
    redshift_target.add_template_argument(parser)
    redshift_target.add_role_argument(parser)
    redshift_target.add_connection_arguments(parser)
    redshift_target.add_load_arguments(parser)
    redshift_copy.add_conversion_arguments(parser)
    redshift_copy.add_inference_arguments(parser)


def add_flink_arguments(parser: argparse.ArgumentParser) -> None:
    """Add options of Flink's job server that decide whether records are lost, which Beam's Python side doesn't know."""
    parser.add_argument(
        "--checkpointing_interval",
        metavar="MILLISECONDS",
        type=int,
        help="between two checkpoints, from which a failed job continues (default: the cluster's, else none)",
    )
    parser.add_argument(
        "--finish_bundle_before_checkpointing",
        metavar="true",
        nargs="?",
        const=True,
        type=truth,
        help="the write sets it itself, and refuses false: without it, a checkpoint forgets what a bundle holds",
    )
    parser.add_argument(
        "--shutdown_sources_after_idle_ms",
        metavar="MILLISECONDS",
        type=int,
        help="0 lets a job without checkpoints end when its input has ended; the write keeps sources forever "
        "otherwise, because the cluster may take checkpoints",
    )


INPUT: Final = Section("Input", add_input_argument)
INPUT_FORMAT: Final = Section(INPUT.title, add_format_arguments)
WATCH: Final = Section(INPUT.title, add_watch_arguments)
QUEUE: Final = Section("Input from a queue of S3's events", add_queue_arguments)
LATENESS: Final = Section(WINDOWS.title, add_lateness_arguments)
PACKING: Final = Section("Shards of unbounded input", add_packing_arguments)
REDSHIFT: Final = Section(redshift_target.JOB_TITLE, add_redshift_arguments)
FLINK: Final = Section("Flink: how it recovers", add_flink_arguments)


def _job(name: str, runner: str, description: str, *sections: Section) -> CommandParser:
    return CommandParser(
        f"s3box {name}",
        "[OPTIONS] [-- OPTIONS OF A JOB SERVER]",
        description,
        sections,
        inherited=(S3_REACHING,),  # Beam has them, under the same names; its help says less about them
        closing=(
            "Beam",
            f"{runner} --help_beam lists all of Beam's options, --help these. Options that only a job server knows, "
            "such as some of Flink's, go behind --. --version prints the version of beam_s3box.",
        ),
    )


BACKFILL: Final = _job(
    "backfill",
    f"--runner NAME picks the runner (default: {DEFAULT_RUNNER}).",
    "Writes files of records to S3 as gzip JSON shards by stream, and the manifests that Redshift's COPY loads.",
    INPUT,
    INPUT_FORMAT,
    WRITE,
    NAMING,
    WINDOWS,
    SHARDS,
    MANIFESTS,
    S3_WRITING,
    WORKERS,
    REDSHIFT,
    FLINK,
    REPORTING,
)
"""The command line of `backfill`."""

STREAM: Final = _job(
    "stream",
    f"--runner NAME picks the runner: {STREAM_RUNNERS}; required.",
    "Writes files of records as they appear, or what a queue, Kafka or Kinesis has, to S3, as gzip JSON shards by "
    "stream, and the manifests that Redshift's COPY loads. Files are read once, when they are found, and must be whole "
    "then.",
    INPUT,
    WATCH,
    INPUT_FORMAT,
    QUEUE,
    KAFKA,
    KINESIS,
    SOURCES,
    WRITE,
    NAMING,
    WINDOWS,
    LATENESS,
    SHARDS,
    PACKING,
    MANIFESTS,
    S3_WRITING,
    REDSHIFT,
    FLINK,
    REPORTING,
)
"""The command line of `stream`."""
