"""One real S3 server for all tests that ask for it; and a way to tell how much a test tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tools.seaweedfs import Server, seaweedfs


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    """Return a server that every folder of tests shares."""
    with seaweedfs() as server:
        yield server


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print for the reader of the tests' output, such as how many points a sweep tried."""

    def tell(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}", end=" ")

    return tell
