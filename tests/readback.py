"""Reads a finished run back from its manifests alone, with nothing of the package but a store's `list` and `get`."""

from __future__ import annotations

import collections
import gzip
import json
import zlib
from typing import Any, NamedTuple

from beam_s3box.stores import Store


class ReadBack(NamedTuple):
    """What lies in a store.

    Attributes:
      records: of the listed shards, by the folder of their stream, window included.
      manifests: keys, with the URLs that each lists.
      shards: keys of all objects under data/.
      unlisted: those that no manifest lists.
      dead_letters: the lines of all files of dead letters.
    """

    records: dict[str, list[dict[str, Any]]]
    manifests: dict[str, list[str]]
    shards: list[str]
    unlisted: list[str]
    dead_letters: list[dict[str, Any]]

    def all_records(self) -> list[dict[str, Any]]:
        return [record for records in self.records.values() for record in records]


def read_back(store: Store) -> ReadBack:
    """Read everything, and check on the way what holds for every run."""
    sizes = {info.key: info.size for info in store.list()}
    manifests: dict[str, list[str]] = {}
    records: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
    for key in (key for key in sizes if key.startswith("manifests/")):
        manifest = json.loads(store.get(key).decode("utf-8"))
        assert list(manifest) == ["entries"]
        assert manifest["entries"], "an empty manifest makes COPY fail"
        manifests[key] = [entry["url"] for entry in manifest["entries"]]
        for entry in manifest["entries"]:
            shard = entry["url"].removeprefix(store.root + "/")
            lines = strict_gunzip(store.get(shard)).split(b"\n")
            assert lines.pop() == b""
            assert entry["mandatory"] is True
            assert entry["meta"] == {"content_length": sizes[shard], "record_count": len(lines)}
            records[shard.removeprefix("data/").rpartition("/")[0]] += [json.loads(line) for line in lines]
    listed = [url for urls in manifests.values() for url in urls]
    assert len(listed) == len(set(listed)), "a shard is listed twice"
    shards = [key for key in sizes if key.startswith("data/")]
    unlisted = sorted(set(shards) - {url.removeprefix(store.root + "/") for url in listed})
    letters = [
        json.loads(line)
        for key in sizes
        if key.startswith("dead-letters/")
        for line in gzip.decompress(store.get(key)).splitlines()
    ]
    return ReadBack(dict(records), manifests, shards, unlisted, letters)


def strict_gunzip(body: bytes) -> bytes:
    """Return what a reader gets that stops after the first gzip member; there must be no second one."""
    inflater = zlib.decompressobj(31)
    text = inflater.decompress(body)
    assert inflater.eof
    assert not inflater.unused_data
    assert text == gzip.decompress(body)
    return text
