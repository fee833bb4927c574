"""The command line of `report`."""

from __future__ import annotations

import argparse
from typing import Final

from beam_s3box.cli.options.parser import CommandParser, Section
from beam_s3box.cli.options.runs import PLACE, RUN_ID
from beam_s3box.cli.options.s3 import S3_READING


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is written."""
    parser.add_argument(
        "--html",
        metavar="FILE",
        help="write the report as a page: one file that needs no network and runs no script",
    )
    parser.add_argument("--json", action="store_true", default=False, help="print the report as JSON, with all streams")
    parser.add_argument("--quiet", action="store_true", default=False, help="print neither the table nor the progress")


REPORT_PARSER: Final = CommandParser(
    "s3box report",
    "URL [--run_id ID] [OPTIONS]",
    "Says what a run has written: by stream records, shards, their sizes and how they compress; why shards were "
    "sealed, how long records waited, what became dead letters. Works for runs of every kind, also for those that "
    "failed or have not finished. Exit codes: 0 reported; 1 the store failed, or what the run wrote is damaged; 2 an "
    "option can't work.",
    (PLACE, RUN_ID, Section("Report", add_output_arguments), S3_READING),
)
"""The command line."""
