"""The retry loop: how often, how long, and for which errors."""

from __future__ import annotations

import pickle

import pytest

from beam_s3box.errors import AccessError, TransientStoreError
from beam_s3box.stores.retries import Retry, Waited


def test_returns_the_result_and_the_attempts() -> None:
    pauses: list[float] = []

    def attempt(number: int) -> str:
        if number < 4:
            raise TransientStoreError(f"attempt {number}")
        return "done"

    assert Retry(4, sleep=pauses.append, random=lambda: 1.0).run(attempt) == ("done", 4)
    assert pauses == [0.25, 0.5, 1.0]


def test_gives_up_with_the_last_error() -> None:
    pauses: list[float] = []

    def attempt(number: int) -> None:
        raise TransientStoreError(f"attempt {number}")

    with pytest.raises(TransientStoreError, match="attempt 10"):
        Retry(10, sleep=pauses.append, random=lambda: 1.0).run(attempt)
    assert pauses == [0.25, 0.5, 1, 2, 4, 8, 16, 20, 20]


def test_pauses_are_spread_from_nothing_to_the_whole() -> None:
    assert Retry(random=lambda: 0.0).pause_seconds(5) == 0
    assert Retry(random=lambda: 0.5).pause_seconds(5) == 2
    assert Retry(random=lambda: 1.0).pause_seconds(100_000) == 20


def test_repeats_only_what_may_pass() -> None:
    numbers: list[int] = []
    pauses: list[float] = []

    def attempt(number: int) -> None:
        numbers.append(number)
        raise TransientStoreError("busy") if number == 1 else AccessError("denied")

    with pytest.raises(AccessError, match="denied"):
        Retry(8, sleep=pauses.append).run(attempt)
    assert (numbers, len(pauses)) == ([1, 2], 1)


def test_time_ends_it_too() -> None:
    pauses: list[float] = []

    def attempt(number: int) -> None:
        raise TransientStoreError(f"attempt {number}")

    retry = Retry(100, sleep=pauses.append, random=lambda: 1.0, seconds=10, clock=lambda: sum(pauses))
    with pytest.raises(TransientStoreError, match="attempt 7"):
        retry.run(attempt)
    assert pauses == [0.25, 0.5, 1, 2, 4, 2.25], "the last attempt is made when the time is over"


def test_a_long_attempt_takes_of_the_time() -> None:
    seconds = iter([0.0, 61.0])

    def attempt(number: int) -> None:
        raise TransientStoreError(f"attempt {number}")

    with pytest.raises(TransientStoreError, match="attempt 1"):
        Retry(100, sleep=lambda _: None, seconds=60, clock=lambda: next(seconds)).run(attempt)


def test_travels_without_the_state_of_a_generator() -> None:
    assert len(pickle.dumps(Retry())) < 500
    assert pickle.loads(pickle.dumps(Retry())) == Retry()


def test_waits_are_noted_in_whole_seconds() -> None:
    waited = Waited()
    for _ in range(5):
        waited.add(0.3)
    assert waited.take() == 1
    assert waited.take() == 0
    waited.add(0.5)
    assert waited.take() == 1
