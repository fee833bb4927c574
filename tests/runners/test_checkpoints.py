"""Checkpoints on Flink, asked for by the pipeline or by the cluster alone: they begin within bundles, and nothing is lost."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Iterator

import pytest

from beam_s3box.shards.runs import new_token
from beam_s3box.stores import Store
from tests.readback import ReadBack, read_back
from tests.runners import feed as feeds
from tests.runners import paced as paces
from tests.runners.engines import cancelled
from tests.runners.streamed import listed_so_far
from tests.runners.test_engines import eventually
from tests.runners.test_streams import fresh_store, s3_arguments
from tools.flink import cluster as clusters
from tools.flink.cluster import FlinkCluster
from tools.seaweedfs import Server

SECONDS = 1.0
"""So short that checkpoints begin within the bundles."""

PACED = paces.Paced(300, 0.05)
FEED_SECONDS = 20


@pytest.fixture(scope="module")
def own_checkpoints(tmp_path_factory: pytest.TempPathFactory, engine_keys: dict[str, str]) -> Iterator[FlinkCluster]:
    """A cluster whose configuration asks for checkpoints."""
    folder = tmp_path_factory.mktemp("flink-with-checkpoints")
    with clusters.flink_cluster(folder, 1, engine_keys, SECONDS) as cluster:
        yield cluster


@pytest.fixture(params=["flink_cluster", "own_checkpoints"])
def cluster(request: pytest.FixtureRequest) -> FlinkCluster:
    found: FlinkCluster = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def options(cluster: FlinkCluster, s3_server: Server, request: pytest.FixtureRequest) -> list[str]:
    """Options of a streaming pipeline, which asks for checkpoints where the cluster does not."""
    asks = request.node.callspec.params["cluster"] == "flink_cluster"
    found = cluster.options(streaming=True, checkpoint_seconds=SECONDS if asks else None)
    assert not any("bundle" in option or "idle" in option for option in found), "the write has to set these"
    return [*found, *s3_arguments(s3_server)]


def test_bounded_input_is_listed_once(
    cluster: FlinkCluster, options: list[str], s3_server: Server, tmp_path: pathlib.Path
) -> None:
    store, name = fresh_store(s3_server), f"bounded-{new_token(8)}"
    # without it the cluster's own checkpoints end with the sources: there would be one
    keeping = [*options, f"--job_name={name}", "--shutdown_sources_after_idle_ms=3600000"]
    with cancelled(cluster.rest, name):
        submitted = paces.submit(PACED, store.root, keeping, tmp_path / "log")
        try:
            wait_until_all_are_listed(store, submitted)
            found = drained(cluster, name, submitted, store)
        finally:
            submitted.kill()
    assert sorted(record["i"] for record in found.all_records()) == list(range(PACED.records))
    assert found.unlisted == []


def test_unbounded_input_is_listed_once(
    cluster: FlinkCluster, options: list[str], s3_server: Server, tmp_path: pathlib.Path
) -> None:
    store, name = fresh_store(s3_server), f"unbounded-{new_token(8)}"
    with cancelled(cluster.rest, name):
        feed, arguments = feeds.Feed(FEED_SECONDS), [*options, f"--job_name={name}"]
        submitted = feeds.submit(feed, store.root, arguments, tmp_path / "notes.jsonl")
        try:
            feed = feeds.begun(feed, submitted)
            time.sleep(max(0.0, feed.end + 2 - time.time()))
            found = drained(cluster, name, submitted, store)
        finally:
            submitted.kill()
    assert sorted(found.all_records(), key=lambda record: int(record["i"])) == feed.records()
    assert found.unlisted == []


def drained(cluster: FlinkCluster, name: str, submitted: feeds.Submitted, store: Store) -> ReadBack:
    """Drain a job, which goes on after the end of its input, and return what it wrote."""
    job = cluster.rest.job_named(name).id
    assert eventually(lambda: cluster.rest.completed_checkpoints(job) >= 5)
    request = cluster.rest.drain(job)
    cluster.rest.wait_for_state(job, "FINISHED")
    assert cluster.rest.drain_failure(job, request) is None
    submitted.wait()
    return read_back(store)


def wait_until_all_are_listed(store: Store, submitted: feeds.Submitted, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while (listed := len(listed_so_far(store))) < PACED.records:
        said = submitted.log.read_text()[-4_000:]
        assert time.monotonic() < deadline, f"{listed} of {PACED.records} records are listed\n{said}"
        time.sleep(1)
