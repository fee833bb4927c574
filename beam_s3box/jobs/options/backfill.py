"""Options of the backfill alone."""

from __future__ import annotations

import argparse

from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box.jobs.options.csv import add_csv_arguments
from beam_s3box.jobs.options.input import INPUT_TITLE
from beam_s3box.jobs.read.files import INPUT_FORMATS


class FormatOptions(PipelineOptions):
    """What the files hold."""

    title = INPUT_TITLE

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--input_format",
            choices=INPUT_FORMATS,
            default="auto",
            help="of the files (default: auto, by extension, else jsonl)",
        )
        add_csv_arguments(parser)
