"""A worker dies in mid-stream: another goes on from the checkpoint, and the last manifests list every id once."""

from __future__ import annotations

import contextlib
import hashlib
import pathlib
import threading
import time

import pytest

from beam_s3box.errors import ObjectNotFoundError
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import Store
from tests.runners.feed import Feed, begun, submit
from tests.runners.streamed import streamed
from tests.runners.test_streams import fresh_store, s3_arguments
from tools.flink.cluster import FlinkCluster
from tools.seaweedfs import Server

KILL_AFTER_SECONDS = 12
CHECKPOINT_SECONDS = 10
"""So long between two that much has to be done again."""

FEED_SECONDS = 55


class Watch:
    """Looks at the manifests all the time, so that one which is written again is noticed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.versions: dict[str, set[str]] = {}

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def rewritten(self) -> list[str]:
        return [key for key, digests in self.versions.items() if len(digests) > 1]

    def _look(self) -> None:
        while not self._ended.wait(0.5):
            for info in self._store.list():
                # one that is listed may be withdrawn before it is read
                with contextlib.suppress(ObjectNotFoundError):
                    if info.key.startswith("manifests/"):
                        digest = hashlib.sha256(self._store.get(info.key)).hexdigest()
                        self.versions.setdefault(info.key, set()).add(digest)


@pytest.fixture(params=["flink_cluster", "flink_cluster_2_62"])
def cluster(request: pytest.FixtureRequest) -> FlinkCluster:
    found: FlinkCluster = request.getfixturevalue(request.param)
    return found


def test_a_task_manager_is_killed(
    cluster: FlinkCluster, s3_server: Server, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rest = cluster.rest
    store, notes, name = fresh_store(s3_server), tmp_path / "notes.jsonl", f"kill-{new_token(8)}"
    arguments = [*cluster.options(streaming=True, checkpoint_seconds=CHECKPOINT_SECONDS), *s3_arguments(s3_server)]
    submitted = submit(Feed(FEED_SECONDS), store.root, [*arguments, f"--job_name={name}"], notes)
    with Watch(store) as watch:
        feed = begun(Feed(FEED_SECONDS), submitted)
        sleep_until(feed.start + KILL_AFTER_SECONDS)
        job = rest.job_named(name).id
        amid_two_checkpoints(cluster, job)
        assert watch.versions, "the job had not listed anything yet"
        kill_the_busy_one(cluster)
        restored_within(cluster, job, seconds=90)
        sleep_until(feed.end + 2)
        request = rest.drain(job)
        rest.wait_for_state(job, "FINISHED")
        assert rest.drain_failure(job, request) is None
        submitted.wait()
        time.sleep(1)
    run = streamed(feed, store, s3_server.client(), notes)
    found = sorted(run.found.all_records(), key=lambda record: int(record["i"]))
    withdrawn = set(watch.versions) - set(run.found.manifests)
    with capsys.disabled():
        print(
            f"\n    after the kill: {len(run.found.shards)} shards, {len(run.found.unlisted)} of them orphans; "
            f"{len(run.found.manifests)} manifests, {len(watch.rewritten)} of them written again with another list; "
            f"{len(withdrawn)} withdrawn"
        )
    assert found == feed.records()
    assert run.found.unlisted, "nothing had to be done again: this shows nothing"


def sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))


def amid_two_checkpoints(cluster: FlinkCluster, job: str) -> None:
    """Wait until there is work behind the last checkpoint, and no other one has begun."""
    known, deadline = cluster.rest.completed_checkpoints(job), time.monotonic() + 6 * CHECKPOINT_SECONDS
    while cluster.rest.completed_checkpoints(job) == known:
        assert time.monotonic() < deadline, "there are no checkpoints"
        time.sleep(0.2)
    time.sleep(CHECKPOINT_SECONDS / 2)


def kill_the_busy_one(cluster: FlinkCluster) -> None:
    """Kill the TaskManager that runs the job, and start another one in its place for later tests."""
    deadline = time.monotonic() + 60
    # between two stages, and while a job is begun again, none is for a moment
    while len(busy := cluster.busy_task_managers()) != 1:
        assert time.monotonic() < deadline, f"busy are {busy or 'none'}, not one"
        time.sleep(0.2)
    cluster.kill_task_manager(*busy)
    cluster.start_task_manager()


def restored_within(cluster: FlinkCluster, job: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not (cluster.rest.restored_checkpoints(job) and cluster.rest.is_running(job)):
        assert time.monotonic() < deadline, "no other TaskManager took the job over"
        time.sleep(0.5)
