"""The command line of `doctor`."""

from __future__ import annotations

import argparse
from typing import Final

from beam_s3box.cli.options.parser import CommandParser, Section
from beam_s3box.cli.options.s3 import S3_REACHING, S3_WRITING


def add_destination_argument(parser: argparse.ArgumentParser) -> None:
    """Add what is examined."""
    parser.add_argument("place", metavar="URL", nargs="?", help="s3://bucket/prefix, or a local folder")


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is printed."""
    parser.add_argument("--json", action="store_true", default=False, help="print the result as JSON")
    parser.add_argument("--quiet", action="store_true", default=False, help="print only what does not hold")


DOCTOR_PARSER: Final = CommandParser(
    "s3box doctor",
    "URL [OPTIONS]",
    "Tries out what a store really guarantees: rights, create-only writes, conditional writes and deletions one after "
    "the other and from many threads, uploads in parts, checksums, listings and clocks. Says which guarantees of ours "
    "hold there, and which options to give. Everything that it writes is below .beam_s3box-doctor/, and is removed. "
    "Exit codes: 0 all guarantees hold; 1 one does not, or nothing can be written; 2 an option can't work.",
    (
        Section("Destination", add_destination_argument),
        Section("Output", add_output_arguments),
        S3_WRITING,
        S3_REACHING,
    ),
)
"""The command line."""
