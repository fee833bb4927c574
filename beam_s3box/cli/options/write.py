"""Options of the write itself: its name, and what happens to records that can't be packed."""

from __future__ import annotations

import argparse
from typing import Final, get_args

from beam_s3box.cli.options.parser import Section
from beam_s3box.records.encoding import REDSHIFT_MAX_RECORD_BYTES
from beam_s3box.records.long_values import MAX_TEXT_BYTES, LongValues
from beam_s3box.shards.keys import DEFAULT_DATA_KEY
from beam_s3box.shards.runs import MAX_RUN_ID_BYTES
from beam_s3box.sizes import parse_size


def add_write_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the destination, and the options of the write."""
    parser.add_argument(
        "--destination", "--output", metavar="URL", help="s3://bucket/prefix, or a local folder; required"
    )
    parser.add_argument(
        "--run_id",
        metavar="ID",
        help=f"names the run in every key, at most {MAX_RUN_ID_BYTES} characters; an id names one run (default: a "
        "new one that sorts by time)",
    )
    parser.add_argument(
        "--if_finished",
        choices=("fail", "skip"),
        default="fail",
        help="of a --run_id whose run has finished: an error, or its totals again and exit code 0 (default: fail)",
    )
    parser.add_argument(
        "--key_template",
        metavar="TEMPLATE",
        default=DEFAULT_DATA_KEY,
        help="of a shard's key below the destination; {window_start:%%Y-%%m-%%d} and {window_end:...} are the time of "
        f"the window in UTC (default: {DEFAULT_DATA_KEY})",
    )
    parser.add_argument(
        "--notify",
        metavar="TARGET",
        help="sns:ARN, sqs:URL or an https: URL that gets JSON with URL and counts when the run is committed, or each "
        "manifest of a stream, at least once; ${NAME} is replaced by that variable of the environment where it is sent "
        "(default: nobody)",
    )
    parser.add_argument(
        "--on_bad_record",
        choices=("dead_letter", "fail"),
        default="dead_letter",
        help="keep a record that can't be packed next to the data, or fail (default: dead_letter)",
    )
    parser.add_argument(
        "--max_dead_letters",
        metavar="N|P%",
        help="fail if more records than so many, or than this share of them, can't be packed: 0 fails on the first, "
        "100%% never (default: fail if none of the input, or of one of its files, can be packed)",
    )
    add_rule_arguments(parser)


def add_rule_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what a record must not be."""
    parser.add_argument(
        "--max_record_bytes",
        metavar="SIZE",
        help=f"bytes of one record, '|' counted twice (default: {REDSHIFT_MAX_RECORD_BYTES} with manifests, "
        "because COPY takes no more; else no limit)",
    )
    parser.add_argument(
        "--long_values",
        choices=get_args(LongValues),
        default="reject",
        help=f"with manifests, of a text of more than {MAX_TEXT_BYTES} bytes, which Redshift can't store: make its "
        "record a bad one, cut it at the end of a character, or keep it (default: reject)",
    )


WRITE: Final = Section("Output", add_write_arguments)


def max_record_bytes_of(given: argparse.Namespace) -> int | None:
    """Return the largest record, None for the default.

    Raises:
      ConfigurationError: not a size.
    """
    text = given.max_record_bytes
    return parse_size(text, "max_record_bytes") if text is not None else None
