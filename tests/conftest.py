"""A real S3 server for the tests that ask for one, which starts once a session; and a way to tell how much a test tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tools.seaweedfs import Server, seaweedfs


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    with seaweedfs() as server:
        yield server


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print for the reader of the tests' output, such as how many points a sweep tried."""

    def tell(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}", end=" ")

    return tell
