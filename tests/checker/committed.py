"""The records that count at a destination with many runs, by the runs' own records, manifests and shards alone."""

from __future__ import annotations

import collections
import gzip
import hashlib
import json
import re
from typing import Any

from tests.checker.places import Place

_RUN = re.compile(r"(?:runs/([^/]+)\.json|manifests/([^/]+)/.*)")


def committed_ids(place: Place, id_field: str) -> dict[str, collections.Counter[Any]]:
    """Return how often each id is listed, by run: of a bounded one only if its record says that it has finished.

    Raises:
      ValueError: a manifest is not the one that its run's record lists, or a shard is not as a manifest states it.
    """
    keys = place.keys()
    runs = {match[1] or match[2] for match in map(_RUN.fullmatch, keys) if match}
    found: dict[str, collections.Counter[Any]] = {}
    for run_id in sorted(runs):
        digests = _digests(place, keys, run_id)
        found[run_id] = collections.Counter()
        for key in sorted(key for key in keys if re.match(rf"manifests/{run_id}[/_]", key)):
            body = place.read(key)
            if digests is None or digests.get(key) == hashlib.sha256(body).hexdigest():
                for entry in json.loads(body)["entries"]:
                    found[run_id].update(_ids(place, entry, id_field))
            elif key in digests:
                raise ValueError(f"{key} is not what the record of its run lists")
    return found


def _digests(place: Place, keys: set[str], run_id: str) -> dict[str, str] | None:
    """Return the manifests that count by the record of a bounded run; None: all do, as those of unbounded input."""
    if (key := f"runs/{run_id}.json") not in keys:
        return None
    record = json.loads(place.read(key))
    if not record["bounded"]:
        return None
    return {row["key"]: row["sha256"] for row in record["manifests"]} if record["state"] == "finished" else {}


def _ids(place: Place, entry: dict[str, Any], id_field: str) -> list[Any]:
    body = place.read(entry["url"].removeprefix(f"{place.root}/"))
    lines = gzip.decompress(body).splitlines()
    if entry["meta"] != {"content_length": len(body), "record_count": len(lines)}:
        raise ValueError(f"{entry['url']} has {len(body)} bytes and {len(lines)} records, not {entry['meta']}")
    return [json.loads(line)[id_field] for line in lines]
