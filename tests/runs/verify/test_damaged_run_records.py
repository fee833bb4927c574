"""Every kind of damage to a run's record, lists of shards and dead letters, one at a time, is found and named."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.runs.verify.conftest import RUN_ID, Place
from tests.runs.verify.damage import LETTERS, RECORD, Break, Verify, check, text_of


def record(change: Callable[[dict[str, Any]], Any]) -> Break:
    return lambda place: place.edit(RECORD, change)


def spoil_list(change: Callable[[bytes], bytes]) -> Break:
    def spoil_one(place: Place) -> None:
        key = place.first(f"runs/{RUN_ID}/shards-")
        place.put(key, change(place.get(key)))

    return spoil_one


def forget_a_row(place: Place) -> None:
    """The list without a row, under a key that fits, in a record that names it."""
    record = json.loads(place.get(RECORD))
    one = record["shard_lists"][0]
    rows = gzip.decompress(place.get(one["key"])).splitlines(keepends=True)
    body = gzip.compress(b"".join(rows[1:]))
    sha256 = hashlib.sha256(body).hexdigest()
    record["shard_lists"][0] |= {"key": f"runs/{RUN_ID}/shards-{sha256}.json.gz", "sha256": sha256}
    place.put(record["shard_lists"][0]["key"], body)
    place.put(RECORD, json.dumps(record).encode())


def forget_letters(place: Place) -> None:
    for key in place.keys(LETTERS):
        place.delete(key)


def spoil_letters(change: Callable[[bytes], bytes]) -> Break:
    def spoil_one(place: Place) -> None:
        key = place.first(LETTERS)
        place.put(key, change(place.get(key)))

    return spoil_one


def forge_letters(change: Callable[[list[bytes]], list[bytes]]) -> Break:
    """Return what changes dead letters, under a key that fits."""

    def forge(place: Place) -> None:
        key = place.first(LETTERS)
        body = text_of(change)(place.get(key))
        place.delete(key)
        digest = hashlib.sha256(body).hexdigest()[:12]
        place.put(re.sub(r"[0-9a-f]{12}(?=\.json\.gz)", digest, key), body)

    return forge


def set_in(name: str, value: Any) -> Break:
    return record(lambda found: {**found, name: value})


def more_of(*names: str) -> Break:
    def add(found: Any) -> None:
        for name in names[:-1]:
            found = found[int(name) if isinstance(found, list) else name]
        found[names[-1]] += 1

    return record(add)


@pytest.mark.parametrize(
    ("breaks", "fault"),
    [
        (set_in("state", "running"), "says that the run is running since"),
        (set_in("state", "failed"), "says that the run is failed"),
        (set_in("manifests", []), "is not one of the manifests that the run finished with"),
        (record(lambda found: {**found, "manifests": found["manifests"][1:]}), "is not one of the manifests"),
        (more_of("shards"), "counts 9 shards of all shards, and what is listed has 8"),
        (more_of("size", "records"), "counts 201 records of all shards, and what is listed has 200"),
        (more_of("size", "raw_bytes"), "raw bytes of all shards, and what is listed has"),
        (more_of("size", "object_bytes"), "object bytes of all shards, and what is listed has"),
        (more_of("manifests", "0", "records"), r"counts 51 records of manifests/\S+, and what is listed has 50"),
        (more_of("manifests", "0", "shards"), r"counts 3 shards of manifests/\S+, and what is listed has 2"),
        (more_of("streams", "0", "records"), r"counts \d+ records of stream "),
        (
            more_of("input", "accepted"),
            "says that 204 records came in, 200 are listed and 3 are dead letters: 1 are miss",
        ),
        (more_of("input", "rejected"), "holds 3 dead letters, and the run rejected 4 records"),
        (more_of("input", "reasons", "0", "records"), r"dead letters with the reason [\w-]+, and the run had 2"),
        (
            record(lambda found: {**found, "shard_lists": found["shard_lists"][1:]}),
            "counts 8 shards, and names lists of 0",
        ),
        (spoil_list(lambda body: body[:-1]), "is damaged: "),
        (spoil_list(gzip.compress), "is damaged: "),
        (forget_a_row, "is in manifests/.*, and not in the run's lists of shards"),
        (
            lambda place: place.delete(place.first(f"runs/{RUN_ID}/shards-")),
            "does not exist, and the run's record names",
        ),
        (forget_letters, "holds 0 dead letters, and the run rejected 3 records"),
        (spoil_letters(lambda body: body[:-1]), "which is not the one in its key: it was changed"),
        (spoil_letters(text_of(lambda lines: lines[1:])), "which is not the one in its key: it was changed"),
        (forge_letters(lambda lines: lines[1:]), "holds 2 dead letters, and the run rejected 3 records"),
        (forge_letters(lambda lines: [b"[]\n", *lines[1:]]), "is damaged: line 1 is no record"),
        (forge_letters(lambda lines: [b"{}\n", *lines[1:]]), "is damaged: .*reason"),
        (lambda place: place.put(f"{LETTERS}other", b""), "is not a file of dead letters"),
    ],
)
def test_damaged_record_lists_and_dead_letters(place: Place, verify: Verify, breaks: Break, fault: str) -> None:
    breaks(place)
    check(verify(place.url, "--run_id", RUN_ID), fault)


def test_a_record_that_is_none(place: Place, verify: Verify) -> None:
    place.put(RECORD, b"{}")
    said = verify(place.url, "--run_id", RUN_ID)
    assert said.code == 2
    assert "is not the record of a run" in said.err


def test_a_run_that_is_none(place: Place, verify: Verify) -> None:
    said = verify(place.url, "--run_id", "r-2")
    assert said.code == 2
    assert "run_id='r-2' names no run below" in said.err
    assert "did you mean 'r-1'?" in said.err
