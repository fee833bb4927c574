"""The command line of `compact`."""

from __future__ import annotations

import argparse
from typing import Final

from beam_s3box.cli.options.parser import CommandParser, Section
from beam_s3box.cli.options.runs import PLACE, PLACE_TITLE, RUN_ID
from beam_s3box.cli.options.s3 import S3_REACHING, S3_WRITING
from beam_s3box.cli.options.values import seconds
from beam_s3box.runs.compact import DEFAULT_OBJECT_BYTES, DEFAULT_SETTLED_SECONDS
from beam_s3box.sizes import MiB


def add_settled_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that says which part of a stream is compacted."""
    parser.add_argument(
        "--older_than",
        metavar="SECONDS",
        type=seconds(),
        default=DEFAULT_SETTLED_SECONDS,
        help="of a stream that still runs, only manifests that were written so long ago: after a failure its runner "
        f"may write younger ones again (default: {DEFAULT_SETTLED_SECONDS / 3600:.0f}h)",
    )


def add_joining_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how shards are joined, and what is printed."""
    parser.add_argument(
        "--max_object_bytes",
        metavar="SIZE",
        default=f"{DEFAULT_OBJECT_BYTES // MiB}MiB",
        help="the largest size of a joined shard: 100000, 10MB, 64MiB; one that fits with no other stays as it is "
        f"(default: {DEFAULT_OBJECT_BYTES // MiB}MiB)",
    )
    parser.add_argument("--json", action="store_true", default=False, help="print the result as JSON")
    parser.add_argument("--quiet", action="store_true", default=False, help="print errors only")


COMPACT_PARSER: Final = CommandParser(
    "s3box compact",
    "URL [--run_id ID] [OPTIONS]",
    "Joins the small shards of a run to few large ones, without decompressing them: a new run, whose manifests say "
    "which ones they replace. The loader loads a record by the one or the other, whatever it loaded before. Nothing is "
    "removed: `s3box gc` does that later. It may be repeated at any time. Exit codes: 0 all of the run is compacted; 1 "
    "it is not, and nothing has changed; 2 an option can't work.",
    (
        PLACE,
        RUN_ID,
        Section(PLACE_TITLE, add_settled_argument),
        Section("Joined shards", add_joining_arguments),
        S3_REACHING,
        S3_WRITING,
    ),
)
"""The command line."""
