"""Rows to pack, and what the manifests of a box list of them."""

from __future__ import annotations

import json
from typing import Any

from beam_s3box.stores import Store
from tests.readback import strict_gunzip


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"i": i, "pad": f"{i * 7919:x}" * 5} for i in range(start, start + count)]


def entries(store: Store, keys: list[str]) -> list[dict[str, Any]]:
    return [entry for key in keys for entry in json.loads(store.get(key))["entries"]]


def listed(store: Store, keys: list[str]) -> list[dict[str, Any]]:
    """Return the records of the shards that the manifests list, checking every entry."""
    found = entries(store, keys)
    assert len({entry["url"] for entry in found}) == len(found), "a shard is listed twice"
    records: list[dict[str, Any]] = []
    for entry in found:
        body = store.get(entry["url"].removeprefix(store.root + "/"))
        lines = strict_gunzip(body).splitlines()
        assert entry["mandatory"] is True
        assert entry["meta"] == {"content_length": len(body), "record_count": len(lines)}
        records += map(json.loads, lines)
    return records


def ids(records: list[dict[str, Any]]) -> list[int]:
    return sorted(record["i"] for record in records)
