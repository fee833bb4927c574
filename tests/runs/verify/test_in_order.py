"""Items go through threads in order, a few at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from beam_s3box.runs.verify.in_order import in_order
from beam_s3box.system.threads import Threads


def test_results_come_in_order_and_items_are_taken_as_it_goes() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1_000):
            taken.append(number)
            yield number

    def work(number: int) -> int:
        time.sleep(0.001 * (number % 3))
        return number

    results = in_order(Threads(4, "test"), work, items())
    assert [next(results) for _ in range(10)] == list(range(10))
    assert len(taken) < 100
    assert list(results) == list(range(10, 1_000))


def test_items_wait_for_memory() -> None:
    lock, held, most = threading.Lock(), 0, 0

    def work(size: int) -> int:
        nonlocal held, most
        with lock:
            held += size
            most = max(most, held)
        time.sleep(0.002)
        with lock:
            held -= size
        return size

    sizes = [10, 30, 500, 20, 40, 90, 5, 5, 100] * 5
    assert list(in_order(Threads(8, "test"), work, sizes, lambda size: size, 100)) == sizes
    assert most <= 500


def test_an_error_cancels_the_rest() -> None:
    done: list[int] = []

    def work(number: int) -> int:
        if number == 5:
            raise ValueError(number)
        time.sleep(0.01)
        done.append(number)
        return number

    with pytest.raises(ValueError, match="5"):
        list(in_order(Threads(1, "test"), work, range(1_000)))
    time.sleep(0.1)
    assert len(done) < 10
