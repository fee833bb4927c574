"""Options that every job has for what it reads."""

from __future__ import annotations

import argparse
from typing import Final

from apache_beam.options.pipeline_options import PipelineOptions

INPUT_TITLE: Final = "Input"


class InputOptions(PipelineOptions):
    """What is read."""

    title = INPUT_TITLE

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--input",
            metavar="GLOB",
            action="append",
            help="files to read, local or s3://, packed too (gzip, bzip2, xz, zstd); ** matches folders; may be given "
            "several times; required",
        )
        parser.add_argument(
            "--path_columns", action="store_true", help="take columns in the path, as dt=2024-01-01/, into the records"
        )
