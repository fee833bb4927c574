"""A stream that Hypothesis drives: it chooses what fails when, and shows the fewest steps that break a promise."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.simulation.faults import put_back
from tests.simulation.stream import CONFIGS, ENDINGS, Config, Schedule
from tests.simulation.threads import on_actors
from tests.simulation.world import Choices

KINDS = [
    "200 without an ETag",
    "409",
    "503 in a row",
    "body cut",
    "bundle given to a second worker",
    "bundle late",
    "bundle pauses",
    "bundle split",
    "commit lost",
    "connection cut",
    "firing late",
    "reader split",
    "reply lost",
    "slow",
    "source silent",
    "timer early",
    "timer late",
    "watermark late",
    "worker asleep",
    "worker killed",
    "worker lost between bundles",
]


class Streams(RuleBasedStateMachine):
    """One stream: nothing fails by chance, but what a rule says; then it ends, and all must be listed once."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = contextlib.ExitStack()
        self._schedule: Schedule | None = None
        self._ending = ENDINGS[0]

    @initialize(config=st.sampled_from(CONFIGS), seed=st.integers(0, 100), ending=st.sampled_from(ENDINGS))
    def begin(self, config: Config, seed: int, ending: str) -> None:
        self._schedule, self._ending = Schedule(Choices(seed), trouble=0.0, config=config), ending
        self._stack.enter_context(on_actors(self._schedule.world))
        self._schedule.begin()

    @rule(seconds=st.integers(1, 12))
    def wait(self, seconds: int) -> None:
        assert self._schedule is not None
        self._schedule.go_on(seconds)

    @rule(kind=st.sampled_from(KINDS), times=st.integers(1, 3))
    def fail(self, kind: str, times: int) -> None:
        assert self._schedule is not None
        for _ in range(times):
            self._schedule.world.next(kind)

    @precondition(lambda self: self._schedule and self._schedule.built.engine.restarts)
    @rule()
    def checkpoint(self) -> None:
        assert self._schedule is not None
        self._schedule.job.checkpoint()

    def teardown(self) -> None:
        with self._stack:
            if self._schedule is not None:
                self._schedule.end(self._ending, 0.0)


SETTINGS = settings(
    max_examples=50,
    stateful_step_count=14,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Steps that fail on purpose are warned of, each time."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_whatever_fails_when_each_record_is_listed_once() -> None:
    run_state_machine_as_test(Streams, settings=SETTINGS)


def test_the_machine_finds_what_a_checkpoint_loses() -> None:
    with put_back("a checkpoint of Flink comes while a bundle runs"), pytest.raises(AssertionError):
        run_state_machine_as_test(Streams, settings=SETTINGS)
