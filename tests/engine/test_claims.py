"""The states of a run's record: who may take a run id, finish it, or fail it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from beam_s3box.engine.claims import RunClaim
from beam_s3box.engine.manifests import Manifest, plan_manifests
from beam_s3box.engine.publish import write_manifest
from beam_s3box.engine.run_record import RunRecord
from beam_s3box.errors import AccessError, ConfigurationError, RunExistsError, S3BoxError, TransientStoreError
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import NOTHING, ShardFile, Size
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import ObjectInfo
from beam_s3box.stores.memory import MemoryStore
from beam_s3box.testing import FailingStore

LAYOUT = Layout("run")
OURS, THEIRS = RunClaim(LAYOUT, "ours"), RunClaim(LAYOUT, "theirs")
STREAM_OURS, STREAM_THEIRS = (RunClaim(LAYOUT, name, bounded=False) for name in ("ours", "theirs"))


class WriteOnly(MemoryStore):
    def get(self, key: str) -> bytes:
        raise AccessError("GetObject: 403")

    def read(self, key: str) -> tuple[bytes, ObjectInfo]:
        raise AccessError("GetObject: 403")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(new_token(12))


def record(store: MemoryStore) -> RunRecord:
    return RunRecord.parse("", store.get("runs/run.json"))


def manifest(store: MemoryStore, number: int) -> Manifest:
    file = ShardFile("a", "b", "", store.url(f"data/{number}"), f"data/{number}", 1, 2, 3, "ab", "records")
    return write_manifest(store, LAYOUT, plan_manifests(None, "", 0, [file], 1)[0]._replace(number=number))


def test_a_run_knows_its_own_claim(store: MemoryStore) -> None:
    OURS.check(store)
    for _ in range(2):
        OURS.take(store)
        OURS.check(store)
    assert (record(store).attempt, record(store).state, record(store).superseded) == ("ours", "running", ())
    assert OURS.check_held(store) == record(store)


def test_a_finished_run_is_nobody_elses(store: MemoryStore) -> None:
    OURS.take(store)
    listed = manifest(store, 0)
    OURS.finish(store, [listed], Size(1, 2, 3), 1)
    OURS.take(store)
    for refused in (THEIRS.check, THEIRS.take, STREAM_THEIRS.take):
        with pytest.raises(RunExistsError, match=r"run_id='run' already finished a run below.*use a new run_id"):
            refused(store)
    assert (record(store).state, record(store).manifests, record(store).size) == ("finished", (listed,), Size(1, 2, 3))


def test_a_bounded_run_that_did_not_finish_is_taken_over_once(
    store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    OURS.take(store)
    THEIRS.check(store)
    with caplog.at_level(logging.WARNING):
        THEIRS.take(store)
    assert "did not finish: this one takes the run over" in caplog.text
    assert (record(store).attempt, record(store).superseded) == ("theirs", ("ours",))
    for call in (OURS.take, OURS.check, OURS.check_held):
        with pytest.raises(RunExistsError, match="another execution took it over"):
            call(store)
    with pytest.raises(RunExistsError, match="another execution took it over"):
        OURS.finish(store, [], NOTHING, 0)
    OURS.fail(store, "too late")
    assert record(store).state == "running"


def test_manifests_of_an_execution_that_was_superseded_are_removed_in_the_end(store: MemoryStore) -> None:
    OURS.take(store)
    manifest(store, 0)
    THEIRS.take(store)
    listed = manifest(store, 1)
    THEIRS.finish(store, [listed], NOTHING, 1)
    assert [info.key for info in store.list("manifests/")] == [listed.key]


def test_a_run_that_failed_says_so_leaves_no_manifest_and_may_be_begun_again(store: MemoryStore) -> None:
    OURS.take(store)
    manifest(store, 0)
    OURS.fail(store, "S3 said no")
    assert (record(store).state, record(store).error) == ("failed", "S3 said no")
    assert list(store.list("manifests/")) == []
    with pytest.raises(RunExistsError, match="was marked as failed"):
        OURS.finish(store, [], NOTHING, 0)
    THEIRS.take(store)
    THEIRS.finish(store, [], NOTHING, 0)
    assert THEIRS.fail(store, "after the end")
    assert not OURS.fail(store, "after it was taken over")
    assert record(store).state == "finished"


def test_an_error_after_the_end_says_that_the_run_counts(store: MemoryStore) -> None:
    OURS.take(store)
    OURS.finish(store, [], NOTHING, 0)
    error = OSError("the answer got lost")
    OURS.fail_by(store, error)
    assert error.__notes__ == [
        "run run had finished before that, and what it lists counts: another run of the same records would list them a "
        "second time"
    ]
    with pytest.raises(RunExistsError, match=r"at 20.*Z, which counts even if its job failed later"):
        THEIRS.check(store)


def test_a_run_may_fail_by_an_error_whose_text_is_no_unicode(store: MemoryStore) -> None:
    OURS.take(store)
    OURS.fail_by(store, OSError("no file \udcff"))  # a name on a disk
    assert (record(store).state, record(store).error) == ("failed", "OSError: no file \\udcff")


class Meanwhile(MemoryStore):
    """Another execution does something after a call to the store; this one has gone to sleep there."""

    def __init__(self, store: MemoryStore, name: str, what: Callable[[], None]) -> None:
        super().__init__(store.root.removeprefix("memory://"))
        self._what: list[Callable[[], None]] = [what]
        self._call = name

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in ("put", "list", "delete") or name != self._call or not self._what:
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            result = found(*arguments, **named)
            result = list(result) if name == "list" else result
            self._what.pop()()
            return result

        return call


@pytest.mark.parametrize("call", ["put", "list", "delete"])
def test_a_launcher_that_sleeps_while_it_marks_a_failure_removes_nothing_of_the_next_execution(
    store: MemoryStore, call: str
) -> None:
    OURS.take(store)
    manifest(store, 0)
    manifest(store, 1)

    def next_execution() -> None:
        THEIRS.take(store)
        store.delete(manifest(store, 1).key)
        THEIRS.finish(store, [manifest(store, 1), manifest(store, 2)], NOTHING, 2)

    OURS.fail(Meanwhile(store, call, next_execution), "S3 said no")
    assert record(store).state == "finished"
    there = {info.key for info in store.list("manifests/")}
    assert {row.key for row in record(store).manifests} <= there


def test_an_outdated_finish_that_wakes_removes_nothing_of_the_live_one(store: MemoryStore) -> None:
    OURS.take(store)
    manifest(store, 0)
    THEIRS.take(store)
    first = manifest(store, 1)

    def live() -> None:
        THEIRS.finish(store, [first, manifest(store, 2)], NOTHING, 2)

    THEIRS.finish(Meanwhile(store, "put", live), [first], NOTHING, 1)
    assert len(record(store).manifests) == 2
    assert [info.key for info in store.list("manifests/")] == [row.key for row in record(store).manifests]


def test_a_failure_is_recorded_without_the_right_to_list(store: MemoryStore) -> None:
    class NoList(MemoryStore):
        def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
            raise AccessError("ListObjectsV2: 403")

    OURS.take(store)
    error = ValueError("why")
    OURS.fail_by(NoList(store.root.removeprefix("memory://")), error)
    assert record(store).state == "failed"
    assert "manifests not removed: ListObjectsV2: 403" in error.__notes__[0]


def test_what_a_stream_that_failed_listed_counts(store: MemoryStore) -> None:
    STREAM_OURS.take(store)
    listed = manifest(store, 0)
    STREAM_OURS.fail(store, "S3 said no")
    assert record(store).state == "failed"
    assert [info.key for info in store.list("manifests/")] == [listed.key]


@pytest.mark.parametrize(
    ("first", "second"), [(STREAM_OURS, THEIRS), (OURS, STREAM_THEIRS), (STREAM_OURS, STREAM_THEIRS)]
)
def test_a_run_without_an_end_is_never_taken_over(store: MemoryStore, first: RunClaim, second: RunClaim) -> None:
    """Its manifests count, so a second one that numbers its firings from 0 would replace them."""
    first.take(store)
    for refused in (second.check, second.take):
        with pytest.raises(RunExistsError, match=r"only a bounded run can be started again.*use a new run_id"):
            refused(store)
    assert record(store).attempt == "ours"


def test_finishing_again_is_harmless_and_changes_nothing(store: MemoryStore) -> None:
    OURS.take(store)
    OURS.finish(store, [manifest(store, 0)], NOTHING, 1)
    before = store.get("runs/run.json")
    OURS.finish(store, [manifest(store, 0)], NOTHING, 1)
    assert store.get("runs/run.json") == before


def test_of_two_finishes_the_one_counts_whose_manifests_are_there(store: MemoryStore) -> None:
    OURS.take(store)
    there = manifest(store, 0)
    outdated = there._replace(sha256="0" * 64)
    OURS.finish(store, [outdated], NOTHING, 1)
    OURS.finish(store, [there], NOTHING, 1)
    assert record(store).manifests == (there,)
    for wrong in (outdated, there._replace(key="manifests/run/gone.manifest")):
        with pytest.raises(S3BoxError, match="is not the manifest that this work wrote"):
            OURS.finish(store, [wrong], NOTHING, 1)
    assert record(store).manifests == (there,)


def test_another_run_id_is_free(store: MemoryStore) -> None:
    OURS.take(store)
    RunClaim(Layout("run-2"), "two").take(store)
    assert sorted(info.key for info in store.list()) == ["runs/run-2.json", "runs/run.json"]


def test_two_that_take_over_at_the_same_time_leave_one(store: MemoryStore) -> None:
    """Each change names what it replaces: who comes second looks again."""
    OURS.take(store)
    third = RunClaim(LAYOUT, "third")

    class Slow(MemoryStore):
        taken = False

        def put(self, key: str, body: bytes, **arguments: object) -> int:
            if arguments.get("replace") and not Slow.taken:
                Slow.taken = True
                third.take(store)
            return super().put(key, body, **arguments)  # type: ignore[arg-type]

    THEIRS.take(Slow(store.root.removeprefix("memory://")))
    assert (record(store).attempt, record(store).superseded) == ("theirs", ("ours", "third"))


def test_without_the_right_to_read_an_id_that_the_user_chose_is_refused_at_once() -> None:
    store = WriteOnly(new_token(12))
    OURS.check(store)
    for claim in (OURS, THEIRS):
        with pytest.raises(
            AccessError, match=r"can't read which execution has run_id='run'.*allow s3:GetObject on memory://"
        ):
            claim.take(store)


def test_without_the_right_to_read_a_run_begins_and_finishes_under_an_id_that_it_made_itself() -> None:
    store = WriteOnly(new_token(12))
    random = RunClaim(LAYOUT, "random", named=False)
    random.take(store)
    random.take(store)
    random.finish(store, [], NOTHING, 3)
    found = record(MemoryStore(store.root.removeprefix("memory://")))
    assert (found.state, found.attempt, found.shards) == ("finished", "random", 3)


def test_a_lost_reply_is_no_other_execution(store: MemoryStore) -> None:
    failing = FailingStore(store, "runs/*", fail=1, when="after")
    with pytest.raises(TransientStoreError):
        OURS.take(failing)
    OURS.take(store)
    assert record(store).attempt == "ours"


def test_a_failure_that_can_not_be_recorded_is_a_note_on_the_error() -> None:
    error = ValueError("why")
    OURS.fail_by(WriteOnly(new_token(12)), error)
    assert "the run could not be marked as failed, or its manifests not removed: GetObject: 403" in error.__notes__[0]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"attempt":1}', b"<html>"])
def test_what_is_no_record_is_refused_with_its_url(store: MemoryStore, body: bytes) -> None:
    store.put("runs/run.json", body, sha256="", content_type="")
    with pytest.raises(ConfigurationError, match=r"memory://\w+/runs/run\.json is not the record of a run"):
        OURS.take(store)
