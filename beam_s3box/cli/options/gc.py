"""The command line of `gc`."""

from __future__ import annotations

import argparse
from typing import Final

from beam_s3box.cli.options.parser import CommandParser, Section
from beam_s3box.cli.options.runs import PLACE
from beam_s3box.cli.options.s3 import S3_REACHING, S3_WRITING
from beam_s3box.cli.options.values import seconds
from beam_s3box.runs.gc.collector import DEFAULT_OLDER_THAN, MIN_SILENT_SECONDS


def add_garbage_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is removed, and what is printed."""
    parser.add_argument(
        "--older_than",
        metavar="SECONDS",
        type=seconds(),
        default=DEFAULT_OLDER_THAN,
        help="only what is older; and a run that has written nothing, and given no sign of life, for so long, and for "
        f"{MIN_SILENT_SECONDS / 3_600:.0f} h at least, is dead: it is marked as failed, and can't finish any more "
        f"(default: {DEFAULT_OLDER_THAN / 86_400:.0f}d)",
    )
    parser.add_argument(
        "--dead_run",
        metavar="ID",
        action="append",
        default=[],
        help="a run of which you know that none of its processes is alive, such as a stream of an earlier version, "
        "which gives no signs of life, or a streamer whose folder is lost; may be given several times",
    )
    parser.add_argument(
        "--dry_run", action="store_true", default=False, help="change nothing, and print what would be removed"
    )
    parser.add_argument("--json", action="store_true", default=False, help="print the result as JSON")
    parser.add_argument("--quiet", action="store_true", default=False, help="print errors only")


GC_PARSER: Final = CommandParser(
    "s3box gc",
    "URL [--older_than 2d] [--dry_run] [OPTIONS]",
    "Removes what provably belongs to nobody: shards that no manifest lists of runs that have finished, failed or "
    "died; shards of manifests that `s3box compact` replaced; what executions left that did not finish; multipart "
    "uploads that nobody finishes; stop marks and signs of life. Never what a live run may still list, never dead "
    "letters, and nothing whose key is not that of a run of this destination. It may run at any time. Exit codes: 0 "
    "done; 1 something could not be removed; 2 an option can't work.",
    (PLACE, Section("Garbage", add_garbage_arguments), S3_REACHING, S3_WRITING),
)
"""The command line."""
