"""The command line of `verify`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, Final

from beam_s3box.cli.options.input import PACKINGS_HELP, add_path_columns_argument
from beam_s3box.cli.options.jobs import INPUT_FORMAT
from beam_s3box.cli.options.naming import NAMING
from beam_s3box.cli.options.overrides import overrides, with_settings
from beam_s3box.cli.options.parser import CommandParser, Section, actions_of
from beam_s3box.cli.options.redshift_target import add_connection_arguments
from beam_s3box.cli.options.runs import PLACE, PLACE_TITLE, RUN_ID
from beam_s3box.cli.options.s3 import S3_READING
from beam_s3box.cli.options.write import WRITE
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


def add_source_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the input of the run."""
    parser.add_argument(
        "--source",
        metavar="GLOB",
        action="append",
        help=f"compare with the input, local or s3://: each record must be listed, or a dead letter, once; "
        f"{PACKINGS_HELP}",
    )


def add_table_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the tables."""
    parser.add_argument(
        "--table",
        metavar="SCHEMA.TABLE",
        help="compare with this table in Redshift: each manifest must be in its ledger, as it is now; {domain} and "
        "{namespace} are replaced by a stream's names",
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


_SOURCE_TITLE: Final = "Comparison with the input, read as the run has read it"
_TABLE_TITLE: Final = "Comparison with Redshift"
_PATH_COLUMNS: Final = Section(_SOURCE_TITLE, add_path_columns_argument)
_FORMAT: Final = Section(_SOURCE_TITLE, INPUT_FORMAT.add)
_NAMES: Final = Section(_SOURCE_TITLE, NAMING.add)
_RULES: Final = Section(_SOURCE_TITLE, WRITE.add)
_KEPT: Final = ("max_record_bytes", "long_values")
_LEFT_OUT: Final = tuple(action.dest for action in actions_of(WRITE.add) if action.dest not in _KEPT)

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
        Section(_SOURCE_TITLE, add_source_argument),
        overrides(_PATH_COLUMNS),
        overrides(_FORMAT),
        overrides(_NAMES),
        overrides(_RULES, *_LEFT_OUT),
        Section(_TABLE_TITLE, add_table_argument),
        Section(_TABLE_TITLE, add_connection_arguments),
        S3_READING,
    ),
)
"""The command line."""


def with_settings_of_run(given: argparse.Namespace, settings: Mapping[str, Any]) -> argparse.Namespace:
    """Return the options, with those that say how the input was read as the run had them, where they are not given."""
    sections = (_PATH_COLUMNS, _FORMAT, _NAMES, _RULES)
    defaults = {action.dest: action.default for section in sections for action in actions_of(section.add)}
    names = set(defaults) & set(vars(given))
    merged = with_settings(
        argparse.Namespace(**{**dict.fromkeys(_LIMITS), **{name: getattr(given, name) for name in names}}),
        settings,
        defaults,
    )
    return argparse.Namespace(**{**vars(given), **{name: getattr(merged, name) for name in names}})


_LIMITS: Final = ("limits", "max_object_bytes", "max_raw_bytes", "max_records")
"""Options of a write that are no options here."""
