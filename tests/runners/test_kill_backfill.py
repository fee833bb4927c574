"""A worker dies in the middle of bounded input, three times: Flink computes again what it lost, each record is listed once."""

from __future__ import annotations

import pathlib
import time

import pytest

from beam_s3box.shards.runs import new_token
from beam_s3box.stores import Store
from tests.readback import read_back
from tests.runners.engines import cancelled
from tests.runners.feed import Submitted
from tests.runners.paced import Paced, submit
from tests.runners.test_kill_task_manager import kill_the_busy_one
from tests.runners.test_streams import fresh_store, s3_arguments
from tools.flink.cluster import FlinkCluster
from tools.seaweedfs import Server

RECORDS = 600
PATIENCE_SECONDS = 180


@pytest.mark.parametrize(("name", "manifests"), [("flink_cluster", 3), ("flink_cluster_2_62", 1)])
def test_a_task_manager_is_killed_three_times_in_a_backfill(
    name: str, manifests: int, request: pytest.FixtureRequest, s3_server: Server, tmp_path: pathlib.Path
) -> None:
    cluster: FlinkCluster = request.getfixturevalue(name)
    store, job = fresh_store(s3_server), f"backfill-{new_token(8)}"
    paced = Paced(RECORDS, 0.04, manifests, 0.5)
    arguments = [*cluster.options(), *s3_arguments(s3_server), f"--job_name={job}"]
    with cancelled(cluster.rest, job):
        submitted = submit(paced, store.root, arguments, tmp_path / "log")
        try:
            for prefix, count in (("data/", 20), ("data/", 60), ("manifests/", 3)):
                wait_for_keys(store, prefix, count, submitted)
                kill_the_busy_one(cluster)
            submitted.wait(PATIENCE_SECONDS)
        finally:
            submitted.kill()
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(RECORDS))
    assert found.unlisted, "nothing had to be done again: this shows nothing"


def wait_for_keys(store: Store, prefix: str, count: int, submitted: Submitted) -> None:
    """Wait until so many objects exist, which the backfill, or an attempt at it, wrote."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sum(info.key.startswith(prefix) for info in store.list()) < count:
        assert submitted.process.poll() is None, submitted.log.read_text()[-4_000:]
        assert time.monotonic() < deadline, f"there are no {count} objects below {prefix}"
        time.sleep(0.2)
