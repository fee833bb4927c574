"""Options of CSV input."""

from __future__ import annotations

import argparse
from typing import Final

AUTO: Final = "auto"
"""Found out from each file."""

FIRST: Final = "first"
"""The first row has the names of the columns."""

DUPLICATE_NAMES: Final = ("error", "rename")
"""What happens to columns of one name."""

TYPES: Final = ("text", "infer")
"""How the types of columns are found."""


def add_csv_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how CSV files are written."""
    parser.add_argument(
        "--csv_delimiter",
        default=AUTO,
        help="between values: one character, or 'tab' (default: auto, which takes , ; tab or | by the first rows of "
        "each file, and stops in doubt)",
    )
    parser.add_argument(
        "--csv_quote", default='"', help="around values; 'none' where quotes are characters as any other (default: \")"
    )
    parser.add_argument("--csv_escape", default="", help="takes the meaning from a quote or delimiter behind it, as \\")
    parser.add_argument("--csv_encoding", default="utf-8", help="of the text, as utf-16 or latin-1 (default: utf-8)")
    parser.add_argument(
        "--csv_header",
        default=FIRST,
        help="where the names of columns are: first (row, the default), none (they become column_1, column_2, ...), "
        "or the names themselves, as a,b,c, for files without them",
    )
    parser.add_argument(
        "--csv_comment",
        default=AUTO,
        help="begins lines that are left out; 'none' for none (default: auto, which leaves out first lines that begin "
        "with # and have fewer values than the line after them)",
    )
    parser.add_argument(
        "--csv_duplicate_names",
        choices=DUPLICATE_NAMES,
        default="error",
        help="of columns, and columns without a name: an error, or renamed as name_2 and column_3 (default: error)",
    )
    parser.add_argument(
        "--csv_types",
        choices=TYPES,
        default="text",
        help="infer: columns all of whose values are numbers, or true and false, become such; 007 stays text, as then "
        "does its column (default: text)",
    )
