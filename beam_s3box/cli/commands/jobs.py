"""`backfill` and `stream`: the jobs that run on Beam, which is imported when one of them begins."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Final

from beam_s3box.cli.console.logging import ToolLog

JOBS: Final[Mapping[str, str]] = {
    "backfill": "write files of records to S3 as a Beam pipeline, on this machine or a cluster",
    "stream": "the same for files that keep arriving, as a streaming Beam pipeline",
}
"""What each job does, in words."""


def run_job_command(name: str, arguments: Sequence[str], *, owns_process: bool) -> int:
    """Run a job and return its exit code.

    Args:
      name: one of `JOBS`.
      arguments: its options.
      owns_process: whether the process ends with it.
    """
    # what the jobs share with Beam's logging is loaded for a job only
    from beam_s3box.jobs.run.entry import run_command

    def run(arguments: Sequence[str], log: ToolLog) -> int:
        code: int = importlib.import_module(f"beam_s3box.jobs.{name}").run(arguments, log)
        return code

    return run_command(run, arguments, owns_process=owns_process)
