"""A manifest of a bounded run counts if the run's record is finished and lists its digest."""

from __future__ import annotations

import pytest

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.lineage import Lineage
from beam_s3box.engine.manifests import Manifest, plan_manifests
from beam_s3box.engine.publish import Publisher, write_manifest
from beam_s3box.engine.run_record import RunRecord
from beam_s3box.errors import AccessError, LoadError, ObjectNotFoundError
from beam_s3box.records.streams import Stream
from beam_s3box.redshift.commits import Commits
from beam_s3box.redshift.manifests import StoreReader, read_manifests
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import NOTHING, ShardFile
from beam_s3box.shards.runs import new_token
from beam_s3box.stores.memory import MemoryStore
from tests.redshift.load.fakes import FILE, manifest_text

LAYOUT = Layout("run")
STREAM = Stream("web", "manifests")  # a name that may confuse


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(new_token(12))


def manifest(store: MemoryStore, name: str = "a", window: str = "") -> Manifest:
    file = ShardFile("web", "manifests", window, store.url(name), name, 1, 2, 3, "ab", "records")
    return write_manifest(store, LAYOUT, plan_manifests(STREAM, window, 0, [file], 1)[0])


def load(*manifests: Manifest | str) -> list[str]:
    return [listed.url for listed in read_manifests(manifests, StoreReader())]


def test_those_of_a_finished_run_count(store: MemoryStore) -> None:
    claim = RunClaim(LAYOUT, "ours")
    claim.take(store)
    rows = [manifest(store, window=window) for window in ("", "w1", "w2")]
    with pytest.raises(LoadError, match=r"does not count yet: run run, started at .*, has not finished"):
        load(rows[0].url)
    claim.finish(store, rows, NOTHING, 3)
    assert load(*(row.url for row in rows)) == sorted(row.url for row in rows)


def test_those_of_a_failed_run_and_those_that_it_does_not_list_do_not(store: MemoryStore) -> None:
    claim = RunClaim(LAYOUT, "ours")
    claim.take(store)
    claim.fail(store, "why")
    stray = manifest(store)
    with pytest.raises(LoadError, match=r"does not count: run run failed at .* \(why\)"):
        load(stray.url)
    again = RunClaim(LAYOUT, "again")
    again.take(store)
    again.finish(store, [], NOTHING, 0)
    stray = manifest(store)  # by a worker that was declared dead
    with pytest.raises(LoadError, match="it is not one of the manifests of the finished run run"):
        load(stray.url)


def test_a_text_that_the_run_did_not_finish_with_does_not(store: MemoryStore) -> None:
    claim = RunClaim(LAYOUT, "ours")
    claim.take(store)
    row = manifest(store)
    claim.finish(store, [row], NOTHING, 1)
    store.delete(row.key)
    other = manifest(store, "b")
    with pytest.raises(LoadError, match="is not the manifest that run run finished with"):
        load(other.url)


def test_rows_of_a_write_are_taken_at_their_word(store: MemoryStore) -> None:
    """A run returns manifests that count; its record is not read again."""
    RunClaim(LAYOUT, "ours").take(store)
    row = manifest(store)
    assert load(row) == [row.url]
    with pytest.raises(LoadError, match="does not count yet"):
        load(row._replace(sha256="0" * 64))


def test_those_of_a_run_without_an_end_count_at_once(store: MemoryStore) -> None:
    claim = RunClaim(LAYOUT, "ours", bounded=False)
    claim.take(store)
    file = ShardFile("web", "manifests", "w", store.url("a"), "a", 1, 2, 3, "ab", "records")
    [row] = Publisher.begin(store, claim).write_firing(
        Lineage().number(plan_manifests(STREAM, "w", 0, [file], 1)), Lineage()
    )
    assert load(row.url) == [row.url]


def test_those_of_others_are_their_owners_affair(store: MemoryStore) -> None:
    body = manifest_text(store.url("a"))
    for key in ("mine.manifest", "manifests/00000.manifest", "manifests/of/others/00000.manifest"):
        store.put(key, body, sha256="", content_type="")
        assert load(store.url(key)) == [store.url(key)]


@pytest.mark.parametrize("bucket", ["s3://manifests", "s3://bucket/manifests", "memory://manifests"])
def test_no_other_bucket_is_asked_whatever_the_own_one_is_called(bucket: str) -> None:
    asked = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        raise ObjectNotFoundError(url)

    Commits(fetch).check(f"{bucket}/manifests/run/web/clicks/00000.manifest", "ab")
    assert f"{bucket}/runs/run.json" in asked
    assert {url.split("/")[2] for url in asked} == {bucket.split("/")[2]}


def test_a_record_that_can_not_be_read_is_an_error() -> None:
    def fetch(url: str) -> bytes:
        raise AccessError("GetObject: 403")

    with pytest.raises(AccessError, match=r"it is unknown whether its run's manifests count: allow s3:GetObject"):
        Commits(fetch).check("s3://bucket/manifests/run/00000.manifest", "ab")


def test_manifests_of_a_record_are_looked_up_in_a_table() -> None:
    rows = [Manifest("d", "n", "", 0, FILE, f"manifests/run/{n:05d}.manifest", 1, 1, 1, 1, f"{n}") for n in range(9)]
    record = RunRecord(run_id="run", attempt="a", bounded=True).finished(NOTHING, 9, rows, 0.0)
    assert record.digests == {row.key: row.sha256 for row in rows}
    assert RunRecord.parse("u", record.render()) == record
