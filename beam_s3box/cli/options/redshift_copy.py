"""Options of COPY and of columns that are found in the shards: `load`, `copy-sql` and the jobs share them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from beam_s3box.redshift.sql.copy_options import CopyKeywords

INFERENCE_TITLE = "Columns from the shards, for --create_tables"

STATUPDATE: Final[Mapping[str, bool | None]] = {"on": True, "off": False, "default": None}
COMPUPDATE: Final[Mapping[str, bool | Literal["preset"] | None]] = {**STATUPDATE, "preset": "preset"}


def add_inference_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how columns are found in the shards."""
    parser.add_argument(
        "--sample", metavar="N", type=int, help="look at about so many records only (default: at all of the manifest)"
    )
    parser.add_argument(
        "--exclude", metavar="KEY,KEY2", help="keys that become no column (default: every key becomes one)"
    )
    parser.add_argument(
        "--ignore_case",
        action="store_true",
        default=False,
        help="keys that differ in case only are one column (default: an error)",
    )


def add_conversion_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which columns COPY fills, and how it converts values; jobs that load have them too."""
    parser.add_argument(
        "--columns",
        metavar="NAME,NAME2",
        help="columns to fill (default: all of the table; copy-sql: the shards' keys)",
    )
    parser.add_argument(
        "--mapping",
        metavar="HOW",
        help="auto, 'auto ignorecase', noshred, or the URL of a jsonpaths file (default: keys match in any case; "
        "copy-sql: what the keys need, with --columns auto)",
    )
    parser.add_argument("--truncatecolumns", action="store_true", default=False, help="cut texts that are too long")
    parser.add_argument("--acceptinvchars", metavar="CHARACTER", help="stands for invalid UTF-8 (default: it fails)")
    parser.add_argument("--maxerror", metavar="N", type=int, help="fail at this many bad rows (default: at the first)")
    parser.add_argument(
        "--compupdate",
        choices=tuple(COMPUPDATE),
        default="off",
        help="choose encodings (default: off)",
    )
    parser.add_argument(
        "--statupdate", choices=tuple(STATUPDATE), default="off", help="count statistics (default: off)"
    )


def copy_options_of(given: argparse.Namespace | Any, mapping: str | None) -> CopyKeywords:
    """Return the options of COPY that were given, except its format; a mapping only if one was given."""
    options = CopyKeywords(
        truncatecolumns=given.truncatecolumns,
        acceptinvchars=given.acceptinvchars or False,
        maxerror=given.maxerror,
        compupdate=COMPUPDATE[given.compupdate],
        statupdate=STATUPDATE[given.statupdate],
    )
    if mapping is not None:
        options["mapping"] = mapping
    return options


def words(text: str | None) -> Sequence[str]:
    """Return the words of a list with commas; none for None."""
    return [word.strip() for word in text.split(",")] if text else []


def keys(text: str | None) -> Sequence[str]:
    """Return the keys of a list with commas, as they stand: a key may be empty, or have blanks around it."""
    return [] if text is None else text.split(",")
