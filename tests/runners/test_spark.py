"""Spark: an executor dies in the middle of a backfill, and streams are refused."""

from __future__ import annotations

import pathlib

from tests.readback import read_back
from tests.runners.paced import Paced, submit
from tests.runners.test_engines import eventually
from tests.runners.test_kill_backfill import wait_for_keys
from tests.runners.test_streams import fresh_store, s3_arguments
from tools.seaweedfs import Server
from tools.spark.cluster import SparkCluster

RECORDS = 600
PATIENCE_SECONDS = 180


def test_an_executor_is_killed_three_times_in_a_backfill(
    spark_cluster: SparkCluster, s3_server: Server, tmp_path: pathlib.Path
) -> None:
    store = fresh_store(s3_server)
    arguments = [*spark_cluster.options(), *s3_arguments(s3_server)]
    submitted = submit(Paced(RECORDS, 0.04, 3, 0.5), store.root, arguments, tmp_path / "log")
    try:
        for prefix, count in (("data/", 20), ("data/", 60), ("manifests/", 3)):
            wait_for_keys(store, prefix, count, submitted)
            assert eventually(spark_cluster.executors)
            spark_cluster.kill_executor()
        submitted.wait(PATIENCE_SECONDS)
    finally:
        submitted.kill()
    found = read_back(store)
    assert sorted(record["i"] for record in found.all_records()) == list(range(RECORDS))
    assert found.unlisted, "nothing had to be done again: this shows nothing"
