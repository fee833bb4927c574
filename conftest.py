"""One real S3 server for all tests that ask for it; and a way to note how much a test tried."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator

import pytest

from beam_s3box.system.threads import Threads
from tools.kinesis import Kinesis
from tools.kinesis import kinesis as running_kinesis
from tools.moto import Moto, moto
from tools.processes import MissingToolError
from tools.seaweedfs import Server, seaweedfs

_NOTE = "note"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    """Return a server that every folder of tests shares."""
    with seaweedfs() as server:
        yield server


@pytest.fixture(scope="session")
def aws() -> Iterator[Moto]:
    """Return a server with the queues of AWS, and buckets that send events to them."""
    with moto() as server:
        yield server


@pytest.fixture(scope="session")
def kinesis() -> Iterator[Kinesis]:
    """Return a Kinesis; without Node its tests are skipped, but not by `make test-runners`."""
    try:
        with running_kinesis() as server:
            yield server
    except MissingToolError as exc:
        if os.environ.get("BEAM_S3BOX_RUNNERS") == "required":
            raise
        pytest.skip(str(exc))


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return a function that keeps a line for the end of the tests' output, such as how many points a sweep tried."""

    def keep(text: str) -> None:
        request.node.user_properties.append((_NOTE, text))

    return keep


def pytest_configure() -> None:
    """Let threads end soon: sweeps leave thousands of boxes and packers behind, whose threads wait for more."""
    Threads.__init__.__defaults__ = (0.1,)


def pytest_collection_finish() -> None:
    """Let Beam remember what it asks again and again, where a test has imported it."""
    if "apache_beam" in sys.modules:
        from tests.quick_beam import quicken

        quicken()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name binary values by their argument: gzip holds the time, and each process must collect the same names."""
    return argname if isinstance(val, bytes) and not val.isascii() else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the notes of all tests: reports have them also where several processes run the tests."""
    notes = [
        f"{report.nodeid}: {text}"
        for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
        if report.when == "call"
        for name, text in report.user_properties
        if name == _NOTE
    ]
    if notes:
        terminalreporter.section("what tests tried")
        for note in notes:
            terminalreporter.write_line(note)
