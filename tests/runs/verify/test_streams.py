"""An unbounded run is checked by the rows of its firings; what a rollback has replaced is no damage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence

import pytest

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.lineage import Lineage
from beam_s3box.engine.manifests import Manifest, plan_manifests
from beam_s3box.engine.publish import Publisher
from beam_s3box.engine.run_reader import find_run
from beam_s3box.engine.shard_lists import segment_of, write_firings
from beam_s3box.engine.shard_rows import listed_shard
from beam_s3box.formats import JSON_LINES
from beam_s3box.records.streams import Stream
from beam_s3box.runs.verify.run_check import Checker, Verified
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import ShardFile
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore

STREAM = Stream("d", "n")


class Life:
    """A stream that writes firings."""

    def __init__(self) -> None:
        self.store = MemoryStore(new_token(12))
        self.claim = RunClaim(Layout("run"), "a", bounded=False)
        self.claim.take(self.store)
        self.lineage = Lineage()
        self.seconds = 0

    def shard(self, text: str) -> ShardFile:
        lines = [json.dumps({"text": text, "i": number}).encode() for number in range(3)]
        segment = JSON_LINES.cut(lines)
        body = JSON_LINES.join([segment])
        sha256 = hashlib.sha256(body).hexdigest()
        key = self.claim.layout.shard(STREAM, "", new_token(12), 0, sha256, ".json.gz")
        self.store.put(key, body, sha256=sha256, content_type="")
        url = self.store.url(key)
        return ShardFile(*STREAM, "", url, key, 3, segment.raw_bytes, len(body), sha256, "records")

    def fire(self, files: Sequence[ShardFile], *, has_rows: bool = True, count: int = 1) -> list[Manifest]:
        plans = self.lineage.number(plan_manifests(STREAM, "", 0, files, count))
        publisher = Publisher.begin(self.store, self.claim)
        # manifests that were written this second may be of work that is still done
        object.__setattr__(publisher, "began", publisher.began + 60)
        manifests = publisher.write_firing(plans, self.lineage)
        self.lineage = self.lineage.after(manifests[0].key, plans[0])
        if has_rows:
            pairs = zip(manifests, plans, strict=True)
            rows = [listed_shard(file, manifest, 0.0) for manifest, plan in pairs for file in plan.files]
            self.seconds += 1
            moment = f"20261122T1015{self.seconds:02d}Z"
            write_firings(self.store, self.claim.layout, moment, [segment_of(rows)])
        return manifests

    def check(self) -> Verified:
        return Checker(2).run(find_run(self.store, "run"))

    def faults(self) -> list[str]:
        return [str(problem) for problem in self.check().problems.first]


@pytest.fixture
def life() -> Life:
    life = Life()
    for number in range(3):
        life.fire([life.shard(f"{number}-{each}") for each in range(2)])
    return life


def test_nothing_is_wrong(life: Life) -> None:
    found = life.check()
    assert not found.problems, found.problems.first
    assert (found.manifests, found.shards, found.records) == (3, 6, 18)


def test_firings_without_rows_are_read_themselves(life: Life) -> None:
    """As those of a version that wrote none, or of a worker that was killed in between."""
    life.fire([life.shard("bare")], has_rows=False)
    found = life.check()
    assert not found.problems, found.problems.first
    assert (found.manifests, found.shards) == (4, 7)


def test_no_rows_at_all(life: Life) -> None:
    for info in list(life.store.list("runs/run/firings/")):
        life.store.delete(info.key)
    found = life.check()
    assert not found.problems, found.problems.first
    assert (found.manifests, found.shards) == (3, 6)


def test_a_rollback_is_no_damage(life: Life) -> None:
    """The runner goes back behind the first firing; the next one has all that the later ones had."""
    life.lineage = Lineage()
    first = json.loads(life.store.get("manifests/run/d/n/00000000-00000.manifest"))
    assert first
    again = life.fire([life.shard(f"again-{each}") for each in range(4)])
    assert [info.key for info in life.store.list("manifests/")] == [again[0].key]
    found = life.check()
    assert not found.problems, found.problems.first
    assert (found.manifests, found.shards) == (1, 4)


def lose(key: str) -> Callable[[Life], None]:
    return lambda life: life.store.delete(f"manifests/run/d/n/{key}")


def rewrite(life: Life) -> None:
    key = "manifests/run/d/n/00000001-00000.manifest"
    document = json.loads(life.store.get(key))
    body = json.dumps({"entries": document["entries"][:1]}).encode()
    life.store.put(key, body, sha256=hashlib.sha256(body).hexdigest(), content_type="", replace=True)


@pytest.mark.parametrize(
    ("breaks", "fault"),
    [
        (lose("00000001-00000.manifest"), "00000001-00000.manifest does not exist; runs/run/firings/20261122T101502Z-"),
        (lose("00000001-00000.manifest"), "has no manifest of firing 1, and one of 2"),
        (lose("00000002-00000.manifest"), "00000002-00000.manifest does not exist; runs/run/firings/20261122T101503Z-"),
        (lose("00000000-00000.manifest"), "has no manifest of firing 0, and one of 2"),
        (rewrite, "has a text that the run did not write; runs/run/firings/20261122T101502Z-"),
    ],
)
def test_damage(life: Life, breaks: Callable[[Life], None], fault: str) -> None:
    breaks(life)
    assert [one for one in life.faults() if fault in one], life.faults()


def test_a_part_of_a_firing_is_missing(life: Life) -> None:
    manifests = life.fire([life.shard(f"part-{each}") for each in range(2)], count=2)
    assert not life.faults()
    life.store.delete(manifests[0].key)
    assert [one for one in life.faults() if "has no part 0 of firing 3, and part 1" in one]
