"""What the options of CSV input mean."""

from __future__ import annotations

import argparse

from beam_s3box.jobs.read.csv.dialect import CsvDialect


def csv_dialect_of(given: argparse.Namespace) -> CsvDialect:
    """Return what the options say.

    Raises:
      ConfigurationError: one of them can't be used.
    """
    return CsvDialect(
        delimiter=given.csv_delimiter,
        quote=given.csv_quote,
        escape=given.csv_escape,
        encoding=given.csv_encoding,
        header=given.csv_header,
        comment=given.csv_comment,
        duplicate_names=given.csv_duplicate_names,
        types=given.csv_types,
    )
