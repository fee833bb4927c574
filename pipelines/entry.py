"""How a job's process begins and ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from beam_s3box.cli.console import say, sturdy_output
from pipelines.tool_logging import ToolLog, silence_exit, tool_logging

_INTERRUPTED = 130


def run_command(run: Callable[[Sequence[str], ToolLog], int], argv: Sequence[str] | None) -> int:
    """Run a job and return its exit code.

    Args:
      run: the job; it imports Beam only when it is called, because Beam logs on import.
      argv: options without the program's name; default: the command line's.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if argv is None:
        silence_exit()
    with sturdy_output(), tool_logging() as log:
        try:
            return run(arguments, log)
        except KeyboardInterrupt:
            say("interrupted: what is not listed in a manifest does not count", error=True)
            return _INTERRUPTED
