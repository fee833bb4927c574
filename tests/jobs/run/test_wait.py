from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from apache_beam.runners.runner import PipelineState

from beam_s3box.jobs.backfill import PARSER
from beam_s3box.jobs.run.progress import Progress
from beam_s3box.jobs.run.wait import Patience, handed_over, run_to_end

SHORT = Patience(poll=0.01, grace=0.05)


class Running:
    """A pipeline that ends on request, in this state or with this error."""

    def __init__(self, state: str = PipelineState.DONE, error: Exception | None = None) -> None:
        self.ends = threading.Event()
        self.cancelled = False
        self._end = state
        self._error = error

    @property
    def state(self) -> str:
        return self._end if self.ends.is_set() else PipelineState.RUNNING

    def wait_until_finish(self) -> str:
        self.ends.wait(60)
        if self._error is not None:
            raise self._error
        return self._end

    def cancel(self) -> None:
        self.cancelled = True
        self.ends.set()


def never() -> bool:
    return False


def always() -> bool:
    return True


def ended(**kwargs: Any) -> Running:
    running = Running(**kwargs)
    running.ends.set()
    return running


@pytest.mark.parametrize("is_done", [None, never, always])
def test_a_pipeline_that_ends_well_is_not_cancelled(is_done: Callable[[], bool] | None) -> None:
    running = ended()
    run_to_end(running, Progress(), is_done, SHORT)
    assert not running.cancelled


@pytest.mark.parametrize("is_done", [None, never, always])
@pytest.mark.parametrize(
    ("end", "message"),
    [({"state": PipelineState.CANCELLED}, "it ended in the state CANCELLED"), ({"error": ValueError("so")}, "so")],
)
def test_a_pipeline_that_ends_otherwise_is_an_error(
    end: dict[str, Any], message: str, is_done: Callable[[], bool] | None
) -> None:
    with pytest.raises((RuntimeError, ValueError), match=message):
        run_to_end(ended(**end), Progress(), is_done, SHORT)


def test_a_pipeline_that_has_written_all_and_does_not_end_is_cancelled() -> None:
    running = Running(state=PipelineState.CANCELLED)
    run_to_end(running, Progress(), always, SHORT)
    assert running.cancelled


def test_a_pipeline_that_has_written_all_has_time_to_end_by_itself() -> None:
    running = Running()

    def end() -> bool:
        threading.Timer(0.02, running.ends.set).start()
        return True

    run_to_end(running, Progress(), end, Patience(poll=0.01, grace=10))
    assert not running.cancelled


def test_a_pipeline_that_has_not_written_all_is_waited_for() -> None:
    running = Running()
    looks = []

    def look() -> bool:
        looks.append(running.cancelled)
        if len(looks) == 5:
            running.ends.set()
        return False

    run_to_end(running, Progress(), look, SHORT)
    assert looks[:5] == [False] * 5
    assert not running.cancelled


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], None),
        (["--runner=DataflowRunner", "--template_location=gs://box/template"], "template gs://box/template"),
        (["--dry_run=true"], "dry run: nothing was submitted"),
        (["--no_wait_until_finish"], "submitted: the job runs on, and this process does not wait for it"),
    ],
)
def test_what_is_not_waited_for_is_said(arguments: list[str], expected: str | None) -> None:
    assert handed_over(Running(), PARSER.parse(arguments)) == expected


def test_a_pipeline_that_has_ended_is_told_as_ever() -> None:
    assert handed_over(ended(), PARSER.parse(["--no_wait_until_finish"])) is None


def test_only_dataflow_makes_templates() -> None:
    """Others don't know the option: they run the job, which has to be waited for."""
    arguments = ["--runner=PrismRunner", "--template_location=gs://box/template"]
    assert handed_over(Running(), PARSER.parse(arguments)) is None
