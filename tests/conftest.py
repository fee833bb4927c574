"""A real S3 server for the tests that ask for one; it starts once a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tools.seaweedfs import Server, seaweedfs


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    with seaweedfs() as server:
        yield server
