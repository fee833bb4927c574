"""How a job's process begins and ends."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence

from beam_s3box.cli.console.interrupts import (
    DEFAULT_GRACE_SECONDS,
    end_within,
    exit_code_of,
    interrupted_of,
    signals_raise,
)
from beam_s3box.cli.console.output import say, say_version, sturdy_output
from beam_s3box.jobs.run.logging import JobLog, job_logging, silence_exit
from beam_s3box.system.heap import own_process


def run_command(run: Callable[[Sequence[str], JobLog], int], arguments: Sequence[str], *, owns_process: bool) -> int:
    """Run a job and return its exit code.

    Args:
      run: the job; it imports Beam only when it is called, because Beam logs on import.
      arguments: options.
      owns_process: whether the process ends with it.
    """
    if owns_process:
        own_process()
        silence_exit()
    with sturdy_output(), job_logging() as log:
        try:
            with signals_raise():
                if "--version" in itertools.takewhile("--".__ne__, arguments):
                    say_version()
                    return 0
                if owns_process:
                    _import_beam()
                return run(arguments, log)
        except KeyboardInterrupt as exc:
            interrupted = interrupted_of(exc)
            say(str(interrupted), error=True)
    if owns_process:
        # Python waits at its end for threads of Beam's, which may wait for the store
        end_within(DEFAULT_GRACE_SECONDS, interrupted, is_printed=True)
    return exit_code_of(interrupted.number)


def _import_beam() -> None:
    """Import Beam without pandas, which it takes along wherever it is installed: 38 MB and a quarter of a second.

    It has types of pandas for pipelines whose elements are of it. Who asks for pandas later gets it, as pyarrow does.
    """
    if "pandas" in sys.modules:
        return
    sys.modules["pandas"] = None  # type: ignore[assignment]
    try:
        import apache_beam  # noqa: F401
    finally:
        del sys.modules["pandas"]
