"""Options that say what a job tells."""

from __future__ import annotations

import argparse

from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box.cli.options import reporting as cli_speech


class ReportingOptions(PipelineOptions):
    """What the job says while it runs and when it ends."""

    title = cli_speech.SPEECH_TITLE

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        cli_speech.add_speech_arguments(parser)
