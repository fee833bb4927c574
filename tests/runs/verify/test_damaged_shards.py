"""Every kind of damage to shards, one at a time on a real server, is found and named."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.runs.verify.conftest import Place
from tests.runs.verify.damage import MANIFESTS, RECORD, SHARDS, Break, Verify, check, edit_lists, text_of, without_lists


def spoil(change: Callable[[bytes], bytes], *, metadata: bool = True) -> Break:
    """Return what replaces a shard by other bytes, with or without the metadata that goes with them."""

    def spoil_one(place: Place) -> None:
        key = place.first(SHARDS)
        before = place.read(key)
        body = change(before.body)
        assert body != before.body
        place.put(key, body, None if metadata else before.metadata)

    return spoil_one


def lose_a_shard(place: Place) -> None:
    place.delete(place.first(SHARDS))


def swap_shards(place: Place) -> None:
    one, other = place.keys(SHARDS)[:2]
    before = place.read(one), place.read(other)
    place.put(other, *before[0])
    place.put(one, *before[1])


def flip_a_bit(place: Place) -> None:
    """Change a bit of the compressed data: the size is equal."""
    key = place.first(SHARDS)
    body = place.get(key)
    place.put(key, body[:-9] + bytes([body[-9] ^ 1]) + body[-8:])


def forge_a_shard(body_of: Callable[[bytes], bytes], *, with_counts: bool = False) -> Break:
    """Return what replaces a shard under a key that fits, in manifest, record and lists: all that can be made to fit."""

    def forge(place: Place) -> None:
        key = place.first(SHARDS)
        old = place.get(key)
        body = body_of(old)
        sha256 = hashlib.sha256(body).hexdigest()
        new = re.sub(r"[0-9a-f]{12}(?=\.json\.gz)", sha256[:12], key)
        place.delete(key)
        place.put(new, body)
        counts = old_sizes(old, body) if with_counts else {}
        counts["object_bytes"] = len(body)
        changed: dict[str, str] = {}
        for manifest in place.keys(MANIFESTS):
            document = json.loads(place.get(manifest))
            for entry in document["entries"]:
                if entry["url"].endswith(key):
                    entry["url"] = f"{place.url}/{new}"
                    entry["meta"]["content_length"] = len(body)
                    entry["meta"]["record_count"] = counts.get("records", entry["meta"]["record_count"])
                    place.put(manifest, json.dumps(document).encode())
                    changed[manifest] = hashlib.sha256(place.get(manifest)).hexdigest()
        edit_lists(place, key, {"key": new, "sha256": sha256, **counts}, changed)

    return forge


def old_sizes(old: bytes, body: bytes) -> dict[str, int]:
    text = gzip.decompress(body)
    return {"records": text.count(b"\n"), "raw_bytes": len(text)}


def append_member(body: bytes) -> bytes:
    return body + gzip.compress(b'{"i": 1}\n')


IN_BOTH = [
    (lose_a_shard, r"data/web/n0/\S+ does not exist"),
    (swap_shards, r"has the SHA-256 \w+, (not|which is not)"),
    (flip_a_bit, r"has the SHA-256 \w+, (not|which is not)"),
    (spoil(lambda body: body[:-1]), r"has (\d+) bytes, not \d+"),
    (spoil(lambda body: body[: len(body) // 2], metadata=False), r"has (\d+) bytes, not \d+"),
    (spoil(lambda body: b""), "has 0 bytes, not "),
    (spoil(lambda body: body + b"\0"), r"has (\d+) bytes, not \d+"),
    (spoil(append_member), r"has (\d+) bytes, not \d+"),
    (spoil(lambda body: body[:50] + bytes([body[50] ^ 4]) + body[51:]), r"has the SHA-256 \w+, (not|which is not)"),
    (
        spoil(lambda body: body[:50] + bytes([body[50] ^ 4]) + body[51:], metadata=False),
        r"has the SHA-256 \w+, not \w+ as (in the run's list of shards|it was written with)",
    ),
    (spoil(text_of(lambda lines: lines[1:])), r"has the SHA-256 \w+, (not|which is not)"),
    (spoil(text_of(lambda lines: lines[:1] + lines)), r"has the SHA-256 \w+, (not|which is not)"),
    (spoil(text_of(lambda lines: lines)), r"has the SHA-256 \w+, (not|which is not)"),
    (forge_a_shard(append_member), "has a second gzip member of "),
    (forge_a_shard(lambda body: body + b"\0"), "has 1 bytes behind its gzip member"),
    (forge_a_shard(lambda body: body[:-1]), "ends in the middle of its gzip member"),
    (forge_a_shard(lambda body: body[:-5] + b"\0" + body[-4:]), "is not valid gzip"),
    (forge_a_shard(text_of(lambda lines: lines[1:])), "holds 24 records, not 25 "),
    (forge_a_shard(text_of(lambda lines: lines[:1] + lines)), "holds 26 records, not 25 "),
    (forge_a_shard(text_of(lambda lines: [b"[]\n", *lines[1:]])), "line 1 is no record"),
    (forge_a_shard(text_of(lambda lines: [*lines[:-1], b'{"i": 1\n'])), "line 25 is no record"),
    (forge_a_shard(text_of(lambda lines: [*lines[:-1], lines[-1][:-1]])), "its last line has no line break"),
    (forge_a_shard(text_of(lambda lines: [lines[0][:-1] + b" " + lines[1], b"\n", *lines[2:]])), "line 1 is no record"),
    (forge_a_shard(text_of(lambda lines: lines[1:]), with_counts=True), "counts 25 records|counts 200 records"),
]


@pytest.mark.parametrize("lists", [True, False], ids=["lists", "no lists"])
@pytest.mark.parametrize(("breaks", "fault"), IN_BOTH)
def test_damaged_shards(place: Place, verify: Verify, breaks: Break, fault: str, lists: bool) -> None:
    if not lists:
        without_lists(place)
    breaks(place)
    check(verify(place.url), fault)


def test_a_line_may_also_be_lost_from_everything_but_the_input(place: Place, verify: Verify) -> None:
    """Totals are made to fit as well: what came in does not."""

    def lose(record: dict[str, Any]) -> None:
        record["size"]["records"] -= 1

    forge_a_shard(text_of(lambda lines: lines[1:]), with_counts=True)(place)
    place.edit(RECORD, lose)
    said = verify(place.url)
    check(said, "says that 203 records came in, 199 are listed and 3 are dead letters: 1 are missing")
