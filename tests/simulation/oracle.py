"""What must hold whatever happened, found by reading the bucket with nothing of the package."""

from __future__ import annotations

import collections
import gzip
import hashlib
import json
import zlib
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from tests.simulation.s3 import SimS3

PREFIX = "prefix/"


class Found(NamedTuple):
    """What lies in the bucket.

    Attributes:
      listed: how often each id is in a shard of a manifest that counts.
      dead: how often each id is among the dead letters.
      sizes: records, raw bytes and bytes of each listed shard.
    """

    listed: collections.Counter[int]
    dead: collections.Counter[int]
    sizes: list[tuple[int, int, int]]


def read(server: SimS3, *, bounded: bool) -> Found:
    """Read all that counts, and check each object on the way."""
    assert not server.violations, server.violations
    keys = _manifests_of_record(server) if bounded else _all(server, "manifests/")
    listed: collections.Counter[int] = collections.Counter()
    sizes, urls = [], []
    for key in keys:
        for entry in json.loads(server.objects[key].body)["entries"]:
            url = entry["url"]
            urls.append(url)
            body = server.objects[url.removeprefix("s3://bucket/")].body
            inflater = zlib.decompressobj(31)
            text = inflater.decompress(body)
            assert inflater.eof, f"{url} is cut"
            assert not inflater.unused_data, f"{url} is no single member"
            ids = [json.loads(line)["id"] for line in text.splitlines()]
            assert entry["meta"] == {"content_length": len(body), "record_count": len(ids)}
            listed.update(ids)
            sizes.append((len(ids), len(text), len(body)))
    assert len(urls) == len(set(urls)), "a shard is listed twice"
    dead: collections.Counter[int] = collections.Counter()
    for key in _all(server, "dead-letters/"):
        dead.update(
            json.loads(json.loads(line)["raw"])["id"] for line in gzip.decompress(server.objects[key].body).splitlines()
        )
    return Found(listed, dead, sizes)


def check_once(listed: Mapping[int, int], good: Collection[int]) -> None:
    """Check that each of these records is listed once, and no other one twice."""
    twice = sorted(number for number, count in listed.items() if count > 1)
    assert not twice, f"listed twice: {twice}"
    missing = sorted(set(good) - set(listed))
    assert not missing, f"in no manifest: {missing}"


def record_of(server: SimS3) -> dict[str, Any] | None:
    """Return the run's record."""
    found = server.objects.get(f"{PREFIX}runs/run.json")
    return None if found is None else json.loads(found.body)


def _manifests_of_record(server: SimS3) -> list[str]:
    record = record_of(server)
    assert record is not None
    assert record["state"] == "finished", record
    for row in record["manifests"]:
        assert PREFIX + row["key"] in server.objects, f"in no manifest: {row['key']}, which the record names, is gone"
        body = server.objects[PREFIX + row["key"]].body
        assert hashlib.sha256(body).hexdigest() == row["sha256"], f"{row['key']} is not the manifest of the record"
    return [PREFIX + row["key"] for row in record["manifests"]]


def _all(server: SimS3, folder: str) -> list[str]:
    return sorted(key for key in server.objects if key.startswith(PREFIX + folder))


def ids_of(server: SimS3, url: str) -> list[int]:
    """Return what a shard holds."""
    text = gzip.decompress(server.objects[url.removeprefix("s3://bucket/")].body)
    return [json.loads(line)["id"] for line in text.splitlines()]


def check_rows(server: SimS3, accepted: Collection[int]) -> None:
    """Check that each shard of accepted records that a manifest of an unbounded run lists has a row that counts."""
    rows = set()
    for key in _all(server, "runs/run/firings/"):
        for line in gzip.decompress(server.objects[key].body).splitlines():
            row = json.loads(line)
            rows.add((row["manifest"], row["manifest_sha256"], row["key"]))
    for key in _all(server, "manifests/"):
        body = server.objects[key].body
        manifest = key.removeprefix(PREFIX), hashlib.sha256(body).hexdigest()
        for entry in json.loads(body)["entries"]:
            if set(ids_of(server, entry["url"])) <= set(accepted):
                assert (*manifest, entry["url"].removeprefix(f"s3://bucket/{PREFIX}")) in rows, f"{entry} has no row"
