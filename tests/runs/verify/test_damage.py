"""Every kind of damage, one at a time on a real server, is found and named."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

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


def test_nothing_is_wrong_with_a_whole_run(place: Place, verify: Verify) -> None:
    said = verify(place.url)
    assert said.code == 0, said.out
    assert f"run {RUN_ID} in {place.url}\n4 manifests, 8 shards, 200 records, 3 dead letters; " in said.out
    assert said.out.endswith("nothing is wrong\n")
    assert not said.err


def test_nor_with_one_of_an_earlier_version(place: Place, verify: Verify) -> None:
    without_lists(place)
    said = verify(place.url, "--run_id", RUN_ID)
    assert said.code == 0, said.out
    assert "4 manifests, 8 shards, 200 records, 3 dead letters; " in said.out


# ---------------------------------------------------------------- shards


def spoil(change: Callable[[bytes], bytes], *, metadata: bool = True) -> Break:
    """Return what replaces a shard by other bytes, with or without the metadata that goes with them."""

    def spoil_one(place: Place) -> None:
        key = place.first(SHARDS)
        before = place.read(key)
        body = change(before.body)
        assert body != before.body
        place.put(key, body, None if metadata else before.metadata)

    return spoil_one


def text_of(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    """Return what packs a shard again with other lines."""
    return lambda body: gzip.compress(b"".join(change(gzip.decompress(body).splitlines(keepends=True))))


def lose_a_shard(place: Place) -> None:
    place.delete(place.first(SHARDS))


def swap_shards(place: Place) -> None:
    one, other = place.keys(SHARDS)[:2]
    before = place.read(one), place.read(other)
    place.put(other, *before[0])
    place.put(one, *before[1])


def swap_equal_sizes(place: Place) -> None:
    """Swap the last bytes of compressed data too: sizes are equal."""
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


def append_member(body: bytes) -> bytes:
    return body + gzip.compress(b'{"i": 1}\n')


IN_BOTH = [
    (lose_a_shard, r"data/web/n0/\S+ does not exist"),
    (swap_shards, r"has the SHA-256 \w+, (not|which is not)"),
    (swap_equal_sizes, r"has the SHA-256 \w+, (not|which is not)"),
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


def check(said: Said, fault: str) -> None:
    assert said.code == 1, said.out
    assert re.search(rf"^wrong: .*({fault})", said.out, re.MULTILINE), said.out


def test_a_line_may_also_be_lost_from_everything_but_the_input(place: Place, verify: Verify) -> None:
    """Totals are made to fit as well: what came in does not."""

    def lose(record: dict[str, Any]) -> None:
        record["size"]["records"] -= 1

    forge_a_shard(text_of(lambda lines: lines[1:]), with_counts=True)(place)
    place.edit(RECORD, lose)
    said = verify(place.url)
    check(said, "says that 203 records came in, 199 are listed and 3 are dead letters: 1 are missing")


# ---------------------------------------------------------------- manifests


def entries(change: Callable[[list[dict[str, Any]]], Any]) -> Break:
    """Return what changes the entries of a manifest, whose digest is then another one."""

    def edit(place: Place) -> None:
        place.edit(place.first(MANIFESTS), lambda document: {"entries": change(document["entries"])})

    return edit


def all_but(break_one: Break) -> Break:
    """Return what makes the digests in record and lists fit again."""

    def fit(place: Place) -> None:
        break_one(place)
        digests = {key: hashlib.sha256(place.get(key)).hexdigest() for key in place.keys(MANIFESTS)}
        edit_lists(place, "", {}, digests)

    return fit


def changed(**values: Any) -> Break:
    return entries(lambda found: [{**found[0], **values}, *found[1:]])


def meta(**values: Any) -> Break:
    return entries(lambda found: [{**found[0], "meta": {**found[0]["meta"], **values}}, *found[1:]])


def lose_a_manifest(place: Place) -> None:
    place.delete(place.first(MANIFESTS))


def list_in_another(place: Place) -> None:
    one, other = place.keys(MANIFESTS)[:2]
    more = json.loads(place.get(one))["entries"][:1]
    place.edit(other, lambda document: {"entries": document["entries"] + more})


def one_more_manifest(place: Place) -> None:
    key = place.first(MANIFESTS)
    place.put(key.replace("00000.manifest", "00007.manifest"), place.get(key))


def swap_manifests(place: Place) -> None:
    one, other = place.keys(MANIFESTS)[:2]
    before = place.get(one), place.get(other)
    place.put(one, before[1])
    place.put(other, before[0])


ANOTHER = r"manifest has the SHA-256 \w+, and the run finished with \w+"


@pytest.mark.parametrize("lists", [True, False], ids=["lists", "no lists"])
@pytest.mark.parametrize(
    ("breaks", "fault"),
    [
        (lose_a_manifest, r"manifests/r-1/web/n0/00000.manifest does not exist"),
        (one_more_manifest, r"00007.manifest is not one of the manifests that the run finished with"),
        (swap_manifests, ANOTHER),
        (entries(lambda found: found + found[:1]), "more than once, and COPY would load it each time"),
        (entries(lambda found: found[1:]), ANOTHER),
        (entries(lambda found: []), "has no list of entries"),
        (changed(mandatory=False), "without mandatory: true"),
        (changed(url="s3://elsewhere/x"), "lists 's3://elsewhere/x', which is not below"),
        (meta(record_count=26), ANOTHER),
        (list_in_another, r"which manifests/\S+ lists as well"),
        (all_but(meta(record_count=26)), r"holds 25 records, not 26 as in manifests/"),
        (all_but(meta(record_count=25.0)), "with record_count=25.0, which must be a whole number"),
        (all_but(meta(content_length=7)), r"has \d+ bytes, not 7 as in manifests/"),
        (all_but(changed(meta=None)), "with meta=None, which must be an object"),
        (all_but(list_in_another), r"which manifests/\S+ lists as well"),
        (all_but(entries(lambda found: found[1:])), r"counts \d shards of|is in no manifest"),
        (lambda place: place.put(place.first(MANIFESTS), b"{"), "is not JSON"),
    ],
)
def test_damaged_manifests(place: Place, verify: Verify, breaks: Break, fault: str, lists: bool) -> None:
    if not lists:
        without_lists(place)
    breaks(place)
    check(verify(place.url), fault)


# ---------------------------------------------------------------- record, lists, dead letters


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


def test_dead_letters_that_were_written_again_are_no_damage(place: Place, verify: Verify) -> None:
    """As by a bundle that was done again."""
    key = place.first(LETTERS)
    place.put(key.replace(LETTERS, f"{LETTERS}0"), place.get(key))
    said = verify(place.url)
    assert said.code == 0
    assert "6 dead letters" in said.out
