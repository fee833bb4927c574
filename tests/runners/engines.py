"""What the tests know of an engine."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Protocol

import apache_beam as beam
from apache_beam.runners.runner import PipelineState

from tools.flink.rest import ENDED, FlinkRest


class Engine(Protocol):
    """A running engine: Prism, Flink within Beam's job server, or a Flink cluster."""

    def options(self, *, streaming: bool = False) -> list[str]:
        """Return the options of a pipeline that shall run there."""
        ...


@contextlib.contextmanager
def cancelled(rest: FlinkRest, name: str) -> Iterator[None]:
    """Cancel the job of a name on the way out, if it still runs, so that later tests find the cluster idle."""
    try:
        yield
    finally:
        with contextlib.suppress(LookupError):
            job = rest.job_named(name)
            if job.state not in ENDED:
                rest.cancel(job.id)
                rest.wait_for_state(job.id, *ENDED)


def run_to_end(pipeline: beam.Pipeline, seconds: float = 300) -> None:
    """Run a pipeline until it succeeds; what failed is raised.

    Its state is asked for, again and again: `wait_until_finish` waits for the end of the job's messages too, which now
    and then never comes from Flink's job server although the job is done.
    """
    result, deadline = pipeline.run(), time.monotonic() + seconds
    while not PipelineState.is_terminal(result.state):
        assert time.monotonic() < deadline, f"it did not end in {seconds:g} s"
        time.sleep(0.2)
    if result.state != PipelineState.DONE:
        result.wait_until_finish()
    assert result.state == PipelineState.DONE
