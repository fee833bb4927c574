"""A store in memory, with a clock that a test moves."""

from __future__ import annotations

import pytest

from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore
from tests.runs.garbage import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(new_token(12), clock)
