"""Compactions of the runs of a store."""

from __future__ import annotations

from typing import Any

from beam_s3box.engine.run_reader import find_run
from beam_s3box.runs.compact import Compacted, Compaction
from beam_s3box.shards.runs import new_token
from beam_s3box.sizes import MiB
from beam_s3box.stores import MemoryStore, Store


def memory() -> MemoryStore:
    return MemoryStore(new_token(12))


def compact(store: Store, run_id: str = "run", max_object_bytes: int = 64 * MiB, **settings: Any) -> Compacted:
    return Compaction(find_run(store, run_id), max_object_bytes, **settings).compact()
