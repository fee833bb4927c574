"""`on_commit`: called after the commit, at least once; what counts is named where it fails."""

from __future__ import annotations

from typing import Any

import pytest

from beam_s3box.box import S3Box
from beam_s3box.engine.commit import Commit, commit_of_record
from beam_s3box.engine.line_packer import LinePacker
from beam_s3box.engine.plan import WriteSpec
from beam_s3box.engine.run_reader import find_run
from beam_s3box.errors import ConfigurationError, NotifyError
from beam_s3box.formats import JSON_ARRAY, JSON_LINES
from beam_s3box.metrics import MemoryMetrics
from beam_s3box.records.selector import StreamSelector
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import MemoryStore

LINES = [b'{"i": %d}' % i for i in range(5)]


class Loader:
    """Takes commits, after it has failed so often."""

    def __init__(self, store: MemoryStore, failures: int = 0) -> None:
        self.store = store
        self.failures = failures
        self.commits: list[Commit] = []

    def __call__(self, commit: Commit) -> None:
        assert find_run(self.store, commit.run_id).record.state == "finished"
        if self.failures:
            self.failures -= 1
            raise OSError("busy")
        self.commits.append(commit)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(new_token())


def test_a_packer_calls_it_when_the_run_counts_and_again_after_a_failure(store: MemoryStore) -> None:
    loader = Loader(store, failures=1)
    spec = WriteSpec(selector=StreamSelector("d", "n"), format=JSON_LINES, on_commit=loader)
    with LinePacker(spec.plan(store), MemoryMetrics()) as packer:
        packer.pack([*LINES, b"bad"])
        with pytest.raises(NotifyError) as caught:
            packer.finish()
        packed = packer.finish()
    run = find_run(store)
    [commit] = loader.commits
    assert str(caught.value) == (
        f"run {run.run_id} is committed, {commit.url} with 5 records in 1 shard, and counts, but on_commit raised "
        "OSError: busy"
    )
    assert isinstance(caught.value.__cause__, OSError)
    assert commit == commit_of_record(store, run.record)
    assert (commit.type, commit.url, commit.destination) == ("run", store.url(f"runs/{run.run_id}.json"), store.root)
    assert (commit.records, commit.shards, commit.dead_letters) == (5, 1, 1)
    assert list(commit.manifests) == packed.manifests


@pytest.mark.parametrize("has_manifests", [True, False])
def test_a_box_calls_it(store: MemoryStore, has_manifests: bool) -> None:
    loader = Loader(store, failures=1)
    box = S3Box(store, on_commit=loader, format=JSON_LINES if has_manifests else JSON_ARRAY)
    box.pack_many(LINES)
    finish: Any = box.create_manifests if has_manifests else box.seal
    with pytest.raises(NotifyError, match=f"run {box.run_id} is committed"):
        finish()
    finish()
    assert [(commit.records, len(commit.manifests)) for commit in loader.commits] == [(5, int(has_manifests))]
    assert find_run(store).record.state == "finished"


@pytest.mark.parametrize("on_commit", [1, "print", []])
def test_it_must_be_a_function(on_commit: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"on_commit is an? .* must be a function that takes a Commit"):
        WriteSpec(selector=StreamSelector("d", "n"), format=JSON_LINES, on_commit=on_commit)


def test_unbounded_input_without_manifests_is_never_committed(store: MemoryStore) -> None:
    spec = WriteSpec(selector=StreamSelector("d", "n"), format=JSON_LINES, on_commit=print, manifests=None)
    spec.plan(store)
    with pytest.raises(ConfigurationError, match="on_commit has nothing to wait for"):
        spec.plan(store, bounded=False)
