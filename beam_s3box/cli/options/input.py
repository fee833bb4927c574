"""Options that say how input is read, for every command that reads files."""

from __future__ import annotations

import argparse
from typing import Final

PACKINGS_HELP: Final = "packed too (gzip, bzip2, xz, zstd); ** matches folders; may be given several times"


def add_input_format_argument(parser: argparse.ArgumentParser, formats: tuple[str, ...]) -> None:
    """Add the option that says what the files hold."""
    parser.add_argument(
        "--input_format",
        choices=formats,
        default="auto",
        help="of the files; json is JSON that is not a record a line (default: auto, by first bytes and extension)",
    )


def add_path_columns_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option for columns in the path."""
    parser.add_argument(
        "--path_columns", action="store_true", help="take columns in the path, as dt=2024-01-01/, into the records"
    )
