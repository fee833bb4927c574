"""Faults that this project once had, or nearly: put back, some schedule finds each of them."""

from __future__ import annotations

import pytest

from tests.simulation.faults import put_back
from tests.simulation.schedules import run

FOUND = [
    ("a manifest is replaced without a condition", "commit", 1_000),
    ("a body is not read from its beginning again", "backfill", 200),
    ("Prism splits bundles with state", "stream", 600),
    ("a checkpoint of Flink comes while a bundle runs", "stream", 200),
    ("outdated work replaces a newer manifest", "stream", 1_000),
]
"""The name of a fault in tools/mutants, the kind of schedules, and how many find it at the latest."""


@pytest.mark.parametrize(("fault", "kind", "seeds"), FOUND, ids=[fault for fault, _, _ in FOUND])
def test_a_fault_that_is_put_back_is_found(fault: str, kind: str, seeds: int) -> None:
    with put_back(fault):
        tally = run(kind, range(seeds))
    assert tally.failures, f"{tally.schedules} schedules did not find it"
    # and it was the fault
    assert not run(kind, list(tally.failures)).failures
