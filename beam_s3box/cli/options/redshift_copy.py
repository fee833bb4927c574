"""Options of COPY and of columns that are inferred from the shards: `load`, `copy-sql` and the jobs share them.

An option is `--redshift_` and the name of the parameter that it sets, as messages name it. The name alone is accepted.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from beam_s3box.cli.options.s3 import credentials_of, reading_settings_of
from beam_s3box.redshift.load.table_loads import TableCreation
from beam_s3box.redshift.manifests import StoreReader
from beam_s3box.redshift.sql.copy_options import CopyKeywords

INFERENCE_TITLE = "Columns from the shards, for --redshift_create_tables"

STATUPDATE: Final[Mapping[str, bool | None]] = {"on": True, "off": False, "default": None}
COMPUPDATE: Final[Mapping[str, bool | Literal["preset"] | None]] = {**STATUPDATE, "preset": "preset"}


def add_option(parser: argparse.ArgumentParser, name: str, **settings: Any) -> None:
    """Add an option of Redshift, whose name is accepted without the prefix too."""
    parser.add_argument(f"--redshift_{name}", f"--{name}", **settings)


def add_inference_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how columns are inferred from the shards."""
    add_option(
        parser, "sample", metavar="N", type=int, help="look at about N records only (default: at all of the manifest)"
    )
    add_option(
        parser, "exclude", metavar="KEY,KEY2", help="keys that become no column (default: every key becomes one)"
    )
    add_option(
        parser,
        "ignore_case",
        action="store_true",
        default=False,
        help="keys that differ only in case are one column (default: an error)",
    )


def add_conversion_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which columns COPY fills, and how it converts values; jobs that load have them too."""
    add_option(
        parser,
        "columns",
        metavar="NAME,NAME2",
        help="columns to fill (default: all of the table; copy-sql: the shards' keys)",
    )
    add_option(
        parser,
        "mapping",
        metavar="HOW",
        help="auto, 'auto ignorecase', noshred, or the URL of a jsonpaths file (default: keys match in any case; "
        "copy-sql: what the keys need, with --redshift_columns auto)",
    )
    add_option(parser, "truncatecolumns", action="store_true", default=False, help="cut texts that are too long")
    add_option(
        parser, "acceptinvchars", metavar="CHARACTER", help="replaces invalid UTF-8 (default: such a record fails)"
    )
    add_option(parser, "maxerror", metavar="N", type=int, help="fail at N bad rows (default: at the first)")
    add_option(parser, "compupdate", choices=tuple(COMPUPDATE), default="off", help="choose encodings (default: off)")
    add_option(parser, "statupdate", choices=tuple(STATUPDATE), default="off", help="update statistics (default: off)")


def copy_options_of(given: argparse.Namespace | Any, mapping: str | None) -> CopyKeywords:
    """Return the options of COPY that were given, except its format; a mapping only if one was given."""
    options = CopyKeywords(
        truncatecolumns=given.redshift_truncatecolumns,
        acceptinvchars=given.redshift_acceptinvchars or False,
        maxerror=given.redshift_maxerror,
        compupdate=COMPUPDATE[given.redshift_compupdate],
        statupdate=STATUPDATE[given.redshift_statupdate],
    )
    if mapping is not None:
        options["mapping"] = mapping
    return options


def creation_of(given: argparse.Namespace | Any) -> TableCreation:
    """Return how columns are inferred from the shards.

    Raises:
      ConfigurationError: an option that can't work.
    """
    # a key may be empty, or have blanks around it
    exclude = () if given.redshift_exclude is None else tuple(given.redshift_exclude.split(","))
    return TableCreation(given.redshift_sample, exclude, given.redshift_ignore_case)


def reader_of(given: argparse.Namespace) -> StoreReader:
    """Return what reads manifests and shards."""
    return StoreReader(reading_settings_of(given), credentials_of(given))


def words(text: str | None) -> Sequence[str]:
    """Return the words of a list with commas; none for None."""
    return [word.strip() for word in text.split(",")] if text else []
