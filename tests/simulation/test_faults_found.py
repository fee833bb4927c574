"""Faults that this project once had, or nearly: put back, some schedule finds each of them."""

from __future__ import annotations

import pytest

from tests.simulation.batch import BatchJob, JobFailedError
from tests.simulation.faults import put_back
from tests.simulation.runs import bounded
from tests.simulation.schedules import failure, run
from tests.simulation.world import Choices

FOUND = [
    ("a manifest is replaced without a condition", "commit", 1_000),
    ("a body is not read from its beginning again", "backfill", 200),
    ("Spark gets the same pipeline as others", "spark", 200),
    ("shards of a stream are shuffled apart", "spark", 100),
    ("Prism splits bundles with state", "stream", 600),
    ("a checkpoint of Flink comes while a bundle runs", "stream", 200),
    ("outdated work replaces a newer manifest", "stream", 1_000),
    ("later records put off the time limit", "stream", 100),
]
"""The name of a fault in tools/mutants, the kind of schedules, and how many find it at the latest."""


@pytest.mark.parametrize(("fault", "kind", "seeds"), FOUND, ids=[fault for fault, _, _ in FOUND])
def test_a_fault_that_is_put_back_is_found(fault: str, kind: str, seeds: int) -> None:
    with put_back(fault):
        tally = run(kind, range(seeds))
    assert tally.failures, f"{tally.schedules} schedules did not find it"
    # and it was the fault
    assert not run(kind, list(tally.failures)).failures


def test_a_run_that_finished_before_its_job_failed_is_not_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1,500 schedules one has that by chance: a later launch lists nothing and changes nothing."""
    real, ended = BatchJob.run, []

    def run_once(job: BatchJob) -> None:
        real(job)
        ended.append(job)
        if len(ended) == 1:
            raise JobFailedError("no answer said that the end was written")

    monkeypatch.setattr(BatchJob, "run", run_once)
    assert bounded(Choices(given=[])).faults["begun again though it had finished"] == 1
    ended.clear()
    with put_back("a finished run is begun again"):
        found = failure("backfill", Choices(given=[]))
    assert found is not None
    assert "finished by several" in found
