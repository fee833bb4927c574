"""Options of the backfill alone: what it reads, and what it says."""

from __future__ import annotations

import argparse

from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box.cli import speech as cli_speech
from pipelines.readers import INPUT_FORMATS


class InputOptions(PipelineOptions):
    """What is read."""

    title = "Input"

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--input",
            metavar="GLOB",
            action="append",
            help="files to read, local or s3://, .gz too; may be given several times; required",
        )
        parser.add_argument(
            "--input_format",
            choices=INPUT_FORMATS,
            default="auto",
            help="of the files (default: auto, by extension, else jsonl)",
        )


class SpeechOptions(PipelineOptions):
    """What the job says while it runs and when it ends."""

    title = cli_speech.SPEECH_TITLE

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        cli_speech.add_speech_arguments(parser)
