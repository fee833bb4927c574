"""Damage to a finished run, whose lists can be made to fit it, and a check that `s3box verify` names the fault."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from tests.runs.verify.conftest import RUN_ID, Place, Said

Break = Callable[[Place], None]
Verify = Callable[..., Said]
RECORD = f"runs/{RUN_ID}.json"
SHARDS, MANIFESTS, LETTERS = "data/web/n0/", f"manifests/{RUN_ID}/", f"dead-letters/{RUN_ID}/"


def without_lists(place: Place) -> None:
    """Make the run one of a version that wrote no lists of shards."""
    for key in place.keys(f"runs/{RUN_ID}/"):
        place.delete(key)
    later = ("shard_lists", "streams", "input", "kind", "version", "runner", "job_name", "settings", "parent")
    place.edit(RECORD, lambda record: {name: value for name, value in record.items() if name not in later})


def text_of(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    """Return what packs a shard again with other lines."""
    return lambda body: gzip.compress(b"".join(change(gzip.decompress(body).splitlines(keepends=True))))


def edit_lists(place: Place, key: str, changes: dict[str, Any], manifests: dict[str, str]) -> None:
    record = json.loads(place.get(RECORD))
    for manifest in record["manifests"]:
        manifest["sha256"] = manifests.get(manifest["key"], manifest["sha256"])
    for number, one in enumerate(record.get("shard_lists", ())):
        rows = [json.loads(line) for line in gzip.decompress(place.get(one["key"])).splitlines()]
        for row in rows:
            row["manifest_sha256"] = manifests.get(row["manifest"], row["manifest_sha256"])
            if row["key"] == key:
                row.update(changes)
        body = gzip.compress(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
        place.delete(one["key"])
        sha256 = hashlib.sha256(body).hexdigest()
        record["shard_lists"][number] |= {"key": f"runs/{RUN_ID}/shards-{sha256}.json.gz", "sha256": sha256}
        place.put(record["shard_lists"][number]["key"], body)
    place.put(RECORD, json.dumps(record).encode())


def check(said: Said, fault: str) -> None:
    assert said.code == 1, said.out
    assert re.search(rf"^wrong: .*({fault})", said.out, re.MULTILINE), said.out
