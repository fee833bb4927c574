"""The input of a run, read again as the backfill reads it, to compare it with what the run has written."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from beam_s3box.cli.options.s3 import credentials_of, input_settings_of
from beam_s3box.jobs.options.csv import csv_dialect_of
from beam_s3box.jobs.read.files import Reading, ranges_of, read_part
from beam_s3box.jobs.read.find import find_input
from beam_s3box.jobs.read.input_files import S3Access
from beam_s3box.jobs.read.rows import RowOptions
from beam_s3box.records.encoding import record_rules
from beam_s3box.records.lines import longest_line
from beam_s3box.records.routing import Router
from beam_s3box.records.selector import StreamSelector
from beam_s3box.runs.verify.source import Part
from beam_s3box.sizes import parse_size


class InputSource:
    """Files that a run was made of.

    Args:
      given: the options of the run; `source` has the patterns of the files.
      selector: how a record names its stream.
      for_redshift: whether records must be such as COPY loads, as those of a run with manifests.
      max_record_bytes: of a record; None for no limit.
    """

    def __init__(
        self, given: argparse.Namespace, selector: StreamSelector, *, for_redshift: bool, max_record_bytes: int | None
    ) -> None:
        self._patterns = given.source
        self._access = S3Access(input_settings_of(given), credentials_of(given))
        rules = record_rules(
            for_redshift=for_redshift, max_record_bytes=max_record_bytes, long_values=given.long_values
        )
        self._new_router: Callable[[], Router] = functools.partial(Router, selector, rules)
        max_line_bytes = longest_line(rules.max_bytes)
        rows = RowOptions(csv_dialect_of(given), max_line_bytes)
        self._reading = Reading(self._access, given.input_format, max_line_bytes, rows, given.path_columns)

    def parts(self) -> Iterator[Part]:
        """Yield what reads the files, in parts that workers of the backfill share."""
        for file in find_input(self._patterns, self._access):
            for part in ranges_of(file, self._reading):
                yield functools.partial(read_part, part, self._reading)

    def router(self) -> Router:
        """Return what turns records into lines by stream, as the run did."""
        return self._new_router()


def source_of(given: argparse.Namespace, settings: Mapping[str, Any], selector: StreamSelector) -> InputSource:
    """Return the input that the options name.

    Args:
      given: the options, with those of the run where they were not given.
      settings: of the run, as its record has them.
      selector: how a record names its stream.
    """
    # a record of an earlier version has no settings, and most runs have manifests
    for_redshift = "manifest_scope" in settings or not settings
    limit = given.max_record_bytes
    if isinstance(limit, str):
        limit = parse_size(limit, "max_record_bytes")
    return InputSource(given, selector, for_redshift=for_redshift, max_record_bytes=limit)
