"""Counting from many threads."""

from __future__ import annotations

import concurrent.futures
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from beam_s3box import metrics
from beam_s3box.metrics import MemoryMetrics


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Let threads give way so often that an unlocked `+=` loses counts."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


class Slow(int):
    """A number whose addition lets other threads go first."""

    def __add__(self, other: int) -> Slow:
        total = int(self) + int(other)
        threading.Event().wait(0.0002)
        return Slow(total)

    __radd__ = __add__


def in_threads(work: Sequence[Callable[[], object]], number: int = 8) -> None:
    start = threading.Barrier(number)

    def run() -> None:
        start.wait(timeout=60)
        for step in work:
            step()

    with concurrent.futures.ThreadPoolExecutor(number) as pool:
        for future in [pool.submit(run) for _ in range(number)]:
            future.result()


def test_counts_and_measures_add_up() -> None:
    counts = MemoryMetrics()
    counts.count("shards")
    counts.count("shards", 4)
    counts.measure("raw_bytes", 10)
    counts.measure("raw_bytes", 32)
    counts.count("dead_letters", 0)
    assert counts.totals() == {"shards": 5, "raw_bytes": 42, "dead_letters": 0}


def test_totals_are_a_copy() -> None:
    counts = MemoryMetrics()
    counts.count("shards")
    counts.totals()["shards"] = 100
    assert counts.totals() == {"shards": 1}


def test_two_of_them_share_nothing() -> None:
    first, second = MemoryMetrics(), MemoryMetrics()
    first.count("shards")
    assert second.totals() == {}


@pytest.mark.usefixtures("eager_threads")
def test_no_count_is_lost_between_threads() -> None:
    counts = MemoryMetrics()
    one = Slow(1)
    in_threads([lambda: counts.count("shards", one)] * 20 + [lambda: counts.measure("raw_bytes", one)] * 20)
    assert counts.totals() == {"shards": 160, "raw_bytes": 160}


@pytest.mark.usefixtures("eager_threads")
def test_totals_can_be_read_while_new_names_appear() -> None:
    counts = MemoryMetrics()
    names = iter(range(10**9))
    in_threads([lambda: counts.count(f"name{next(names)}"), lambda: counts.totals()] * 200)
    assert sum(counts.totals().values()) == 8 * 200


def test_names_are_unique_and_are_what_they_are_called() -> None:
    names = {
        key: value
        for key, value in vars(metrics).items()
        if key[0].isupper() and key.isupper() and isinstance(value, str)
    }
    del names["NAMESPACE"], names["THROTTLED_SECONDS"]  # the latter is a name of Beam's
    assert all(value == key.lower() for key, value in names.items())
    assert len(set(names.values())) == len(names) > 0


def test_memory_metrics_is_a_metrics() -> None:
    counts: metrics.Metrics = MemoryMetrics()
    counts.count(metrics.SHARDS)
    assert isinstance(metrics.PROGRESS, MemoryMetrics)
