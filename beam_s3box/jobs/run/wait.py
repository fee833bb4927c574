"""Waits for a pipeline, wherever it runs; or says why there is nothing to wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions, TestOptions
from apache_beam.runners.runner import PipelineResult, PipelineState

from beam_s3box.cli.console.interrupts import Interrupted
from beam_s3box.jobs.options.runners import template_of
from beam_s3box.jobs.run.counters import counted
from beam_s3box.jobs.run.progress import Progress


class Patience(NamedTuple):
    """How long to wait for a runner that may not end, in seconds.

    Attributes:
      poll: between two looks whether all is written.
      grace: for it to end on its own after that.
    """

    poll: float
    grace: float


PATIENCE: Final = Patience(poll=2.0, grace=10.0)


def handed_over(result: PipelineResult, options: PipelineOptions) -> str | None:
    """Return what to say of a pipeline that was staged or submitted and is not waited for; None to wait for it."""
    template = template_of(options)
    if template:
        # its result has no job, and fails when it is asked for its state
        return f"template {template}"
    if options.view_as(TestOptions).dry_run:
        return "dry run: nothing was submitted"
    runs_on = options.view_as(StandardOptions).no_wait_until_finish and not PipelineState.is_terminal(result.state)
    return "submitted: the job runs on, and this process does not wait for it" if runs_on else None


def run_to_end(
    result: PipelineResult,
    progress: Progress,
    is_done: Callable[[], bool] | None,
    patience: Patience = PATIENCE,
    takes: Callable[[Interrupted], bool] | None = None,
) -> None:
    """Wait until a pipeline has succeeded.

    Args:
      result: of its start.
      progress: takes its figures from the pipeline.
      is_done: returns whether everything is written, where a runner may not end on its own after that.
      patience: with such a runner.
      takes: is given a signal, and returns whether the wait goes on all the same; None if it never does.

    Raises:
      RuntimeError: it ended otherwise; other runners have errors of their own.
    """
    if not PipelineState.is_terminal(result.state):
        progress.follow(lambda: counted(result))
    if is_done is None and takes is None:
        _check_state(result.wait_until_finish())
        return
    ending = _waiting(result)
    if _ends(ending, is_done or _never, patience, takes or _refuse):
        _check_state(ending.result())
    else:
        # nothing is buffered any more; that a cancelled job has ended, not every job server says
        result.cancel()


def _check_state(state: str) -> None:
    if state != PipelineState.DONE:
        raise RuntimeError(f"it ended in the state {state}")


def _waiting(result: PipelineResult) -> Future[Any]:
    """Wait in a thread of its own, which does not keep the process, for the pipeline to end."""
    ending: Future[Any] = Future()

    def wait() -> None:
        try:
            ending.set_result(result.wait_until_finish())
        except BaseException as exc:  # noqa: BLE001 - it is raised where the future is asked
            ending.set_exception(exc)

    threading.Thread(target=wait, name="end-of-pipeline", daemon=True).start()
    return ending


def _ends(
    ending: Future[Any], is_done: Callable[[], bool], patience: Patience, takes: Callable[[Interrupted], bool]
) -> bool:
    """Return True when a pipeline has ended, False when all is written and it does not end."""
    ended = threading.Event()
    ending.add_done_callback(lambda _: ended.set())
    while True:
        try:
            if ended.wait(patience.poll):
                return True
            if is_done():
                return ended.wait(patience.grace)
        except Interrupted as exc:
            # raised by the handler of a signal: the wait itself is unharmed
            if not takes(exc):
                raise


def _never() -> bool:
    return False


def _refuse(interrupted: Interrupted) -> bool:
    return False
