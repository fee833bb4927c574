"""The command line of `verify`."""

from __future__ import annotations

import argparse
from typing import Final

from beam_s3box.cli.options.parser import CommandParser, Section
from beam_s3box.cli.options.runs import PLACE, PLACE_TITLE, RUN_ID
from beam_s3box.cli.options.s3 import S3_REACHING
from beam_s3box.runs.verify.run_check import DEFAULT_THREADS


def add_manifest_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that names manifests."""
    parser.add_argument(
        "--manifest",
        metavar="MANIFEST",
        action="append",
        help="check this manifest and what it lists, and not the whole run: a URL or key below the destination, a "
        "folder of manifests, or a pattern as 'manifests/ID/**'; may be given several times",
    )


def add_checking_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how it is checked, and what is printed."""
    parser.add_argument(
        "--threads",
        metavar="N",
        type=int,
        default=DEFAULT_THREADS,
        help=f"objects that are read at the same time (default: {DEFAULT_THREADS})",
    )
    parser.add_argument("--json", action="store_true", default=False, help="print the result as JSON")
    parser.add_argument("--quiet", action="store_true", default=False, help="print only what is wrong")


VERIFY_PARSER: Final = CommandParser(
    "s3box verify",
    "URL [--run_id ID | --manifest MANIFEST] [OPTIONS]",
    "Checks what a run has written, byte by byte: everything that its manifests list exists, has its size, its SHA-256 "
    "and its records, and is listed once; record, lists, manifests and dead letters agree. Exit codes: 0 nothing is "
    "wrong; 1 something is, and the first of it is printed, or could not be read; 2 an option can't work.",
    (
        PLACE,
        RUN_ID,
        Section(PLACE_TITLE, add_manifest_argument),
        Section("Check", add_checking_arguments),
        S3_REACHING,
    ),
)
"""The command line."""
