"""What the tests of transforms share: a store in memory, another for each test."""

from __future__ import annotations

import pytest

from beam_s3box.shards.runs import new_token
from beam_s3box.stores.memory import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(new_token(12))
