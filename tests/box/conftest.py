"""A store in memory."""

from __future__ import annotations

import pytest

from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(new_token(12))
