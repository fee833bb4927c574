"""One real S3 server for all tests that ask for it; and a way to tell how much a test tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tools.seaweedfs import Server, seaweedfs

_TOLD = "told"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    """Return a server that every folder of tests shares."""
    with seaweedfs() as server:
        yield server


@pytest.fixture
def told(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Note for the reader of the tests' output, such as how many points a sweep tried; printed at the end."""

    def tell(text: str) -> None:
        request.node.user_properties.append((_TOLD, text))

    return tell


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the notes of all tests: reports carry them also where several processes run the tests."""
    notes = [
        f"{report.nodeid}: {text}"
        for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
        if report.when == "call"
        for name, text in report.user_properties
        if name == _TOLD
    ]
    if notes:
        terminalreporter.section("what tests tried")
        for note in notes:
            terminalreporter.write_line(note)
