"""A run id names one finished run."""

from __future__ import annotations

import pytest

from beam_s3box.claims import RunClaim
from beam_s3box.errors import AccessError, RunExistsError
from beam_s3box.layout import Layout
from beam_s3box.runs import new_token
from beam_s3box.stores.memory import MemoryStore

LAYOUT = Layout("run")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(new_token(12))


def test_a_run_knows_its_own_claim_and_refuses_another(store: MemoryStore) -> None:
    ours, theirs = RunClaim(LAYOUT, "one"), RunClaim(LAYOUT, "two")
    ours.check(store)
    ours.take(store)
    ours.take(store)
    ours.check(store)
    for refused in (theirs.check, theirs.take):
        with pytest.raises(RunExistsError, match=r"run_id='run' already wrote manifests.*use a new run_id"):
            refused(store)


def test_who_may_replace_manifests_replaces_its_own_alone(store: MemoryStore) -> None:
    ours, theirs = RunClaim(LAYOUT, "one"), RunClaim(LAYOUT, "two")
    ours.take(store, may_replace=True)
    ours.take(store, may_replace=True)
    with pytest.raises(RunExistsError, match=r"run_id='run' already wrote manifests.*use a new run_id"):
        theirs.take(store, may_replace=True)


def test_another_run_id_is_free(store: MemoryStore) -> None:
    RunClaim(LAYOUT, "one").take(store)
    RunClaim(Layout("run-2"), "two").take(store)
    assert sorted(info.key for info in store.list()) == ["runs/run-2.json", "runs/run.json"]


def test_without_the_right_to_read_a_run_may_begin() -> None:
    class Denied(MemoryStore):
        def get(self, key: str) -> bytes:
            raise AccessError("403")

    RunClaim(LAYOUT, "one").check(Denied(new_token(12)))


def test_who_may_replace_manifests_has_to_know_whose_they_are() -> None:
    """Create-only writes would stop a second run later; a write that replaces would not."""

    class Denied(MemoryStore):
        def get(self, key: str) -> bytes:
            raise AccessError("403")

    store = Denied(new_token(12))
    RunClaim(LAYOUT, "one").take(store, may_replace=True)
    RunClaim(LAYOUT, "two").take(store)
    with pytest.raises(AccessError, match="403"):
        RunClaim(LAYOUT, "two").take(store, may_replace=True)
