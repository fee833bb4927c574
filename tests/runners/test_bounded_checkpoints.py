"""Bounded input in a streaming job on Flink, with checkpoints: they begin within bundles, and nothing is lost."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Iterator

import pytest

from beam_s3box.runs import new_token
from beam_s3box.stores import Store
from tests.readback import read_back
from tests.runners.engines import cancelled
from tests.runners.paced import Paced, submit
from tests.runners.streamed import listed_so_far
from tests.runners.test_streams import fresh_store, s3_arguments
from tools.flink import cluster as clusters
from tools.flink.cluster import FlinkCluster
from tools.seaweedfs import Server

CHECKPOINT_SECONDS = 1.0
"""So short that checkpoints begin within the bundles."""

PACED = Paced(300, 0.05)


@pytest.fixture(params=["by the pipeline", "by the cluster"])
def cluster_and_options(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, engine_keys: dict[str, str]
) -> Iterator[tuple[FlinkCluster, list[str]]]:
    """A cluster and the options of a pipeline on it; checkpoints are asked for by the pipeline, or by the cluster alone."""
    if request.param == "by the pipeline":
        cluster: FlinkCluster = request.getfixturevalue("flink_cluster")
        yield cluster, cluster.options(streaming=True, checkpoint_seconds=CHECKPOINT_SECONDS)
        return
    folder = tmp_path_factory.mktemp("flink-with-checkpoints")
    with clusters.flink_cluster(folder, 1, engine_keys, CHECKPOINT_SECONDS) as cluster:
        # sources that have ended would take the job with them, before there is a second checkpoint
        yield cluster, [*cluster.options(streaming=True), "--shutdown_sources_after_idle_ms=3600000"]


def test_bounded_input_is_listed_once_with_checkpoints(
    cluster_and_options: tuple[FlinkCluster, list[str]], s3_server: Server, tmp_path: pathlib.Path
) -> None:
    cluster, options = cluster_and_options
    assert not any("finish_bundle" in option for option in options), "the write has to set it itself"
    store, name = fresh_store(s3_server), f"bounded-{new_token(8)}"
    with cancelled(cluster.rest, name):
        arguments = [*options, *s3_arguments(s3_server), f"--job_name={name}"]
        submitted = submit(PACED, store.root, arguments, tmp_path / "log")
        try:
            wait_until_all_are_listed(store, submitted.log)
            # the job stays, because with checkpoints Flink keeps its sources
            job = cluster.rest.job_named(name).id
            assert cluster.rest.completed_checkpoints(job) >= 5
            request = cluster.rest.drain(job)
            cluster.rest.wait_for_state(job, "FINISHED")
            assert cluster.rest.drain_failure(job, request) is None
            submitted.wait()
        finally:
            submitted.kill()
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(PACED.records))
    assert found.unlisted == []


def wait_until_all_are_listed(store: Store, log: pathlib.Path, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while (listed := len(listed_so_far(store))) < PACED.records:
        assert time.monotonic() < deadline, (
            f"{listed} of {PACED.records} records are listed\n{log.read_text()[-4_000:]}"
        )
        time.sleep(1)
