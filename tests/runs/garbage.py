"""Garbage collections at times that a test chooses, and shards that nobody lists."""

from __future__ import annotations

import hashlib
from typing import Any

from beam_s3box.runs.gc.collector import Collector
from beam_s3box.runs.gc.freed import Freed
from tests.runs.made_runs import Made, Part

DAY = 86_400.0


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def pass_days(self, days: float) -> None:
        self.now += days * DAY


def gc(store: Any, **settings: Any) -> Freed:
    return Collector(store, **settings).collect()


def keys(store: Any, prefix: str = "data/") -> list[str]:
    return [info.key for info in store.list(prefix)]


def put(store: Any, key: str, body: bytes = b"x") -> None:
    store.put(key, body, sha256=hashlib.sha256(body).hexdigest(), content_type="text/plain")


def abandoned(store: Any, made: Made, *ids: int) -> str:
    return made.shard(Part([]), ids).key
