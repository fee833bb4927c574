"""Runs tests many times, while as many processes as asked for keep the cores busy, and counts how often each failed."""

from __future__ import annotations

import argparse
import collections
import contextlib
import multiprocessing
import sys
from collections.abc import Iterator

import pytest


class Again:
    """A plugin of pytest that runs each test so many times.

    Attributes:
      runs, failures: by test.
    """

    def __init__(self, times: int) -> None:
        self._times = times
        self.runs: collections.Counter[str] = collections.Counter()
        self.failures: collections.Counter[str] = collections.Counter()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        metafunc.fixturenames.append("_again")
        metafunc.parametrize("_again", range(self._times), ids=lambda number: f"again{number}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = report.nodeid.rsplit("again", 1)[0].rstrip("-[")
        self.runs[test] += report.when == "call"
        self.failures[test] += report.failed


def main() -> int:
    """Return 1 if a test failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.flaky", description=__doc__)
    parser.add_argument("tests", nargs="+", help="what pytest takes: files, ids of tests, options behind --")
    parser.add_argument("--times", type=int, default=50, help="how many times each is run (50)")
    parser.add_argument("--load", type=int, default=0, help="processes that keep cores busy in the meantime (0)")
    arguments = parser.parse_args()
    again = Again(arguments.times)
    with busy(arguments.load):
        code = pytest.main(["-q", "--tb=short", "-p", "no:cacheprovider", *arguments.tests], [again])
    for test, runs in again.runs.items():
        print(f"{again.failures[test]} of {runs} failed: {test}")
    return int(code)


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep so many processes busy."""
    processes = [multiprocessing.Process(target=spin, daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()


def spin() -> None:
    """Work without end."""
    while True:
        pass


if __name__ == "__main__":
    sys.exit(main())
