"""Options of Flink's job server that decide whether records are lost, which Beam's Python side does not know."""

from __future__ import annotations

import argparse

from apache_beam.options.pipeline_options import PipelineOptions

_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


class FlinkOptions(PipelineOptions):
    """Checkpoints on Flink."""

    title = "Flink: how it recovers"

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--checkpointing_interval",
            metavar="MILLISECONDS",
            type=int,
            help="between two checkpoints, from which a job that fails goes on (default: the cluster's, else none)",
        )
        parser.add_argument(
            "--finish_bundle_before_checkpointing",
            metavar="true",
            nargs="?",
            const=True,
            type=_is_true,
            help="the write sets it itself, and refuses false: without it, a checkpoint forgets what a bundle holds",
        )
        parser.add_argument(
            "--shutdown_sources_after_idle_ms",
            metavar="MILLISECONDS",
            type=int,
            help="0 lets a job without checkpoints end when its input has ended; the write keeps sources forever "
            "otherwise, because the cluster may take checkpoints",
        )


def _is_true(text: str) -> bool:
    if text.lower() not in _TRUTHS:
        raise argparse.ArgumentTypeError(f"{text!r} must be true or false")
    return _TRUTHS[text.lower()]
